// The configuration of a stack in a test.
#pragma once

#include <string>

#include "services/local/local_stack.h"
#include "tests/services/processes.h"

namespace palate::services {

// The built-in embedding model and no language model, in process only.
inline StackConfig WithoutRanking(const std::string& data_dir) {
  StackConfig config;
  config.data_dir = data_dir;
  config.server.listen = "";
  config.embedding.models = {{"dual_encoder", BuiltinModel("dual_encoder")}};
  config.ranking.models.clear();
  return config;
}

}  // namespace palate::services

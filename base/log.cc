#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace palate {

void InitLogging(const std::string& level) {
  auto logger = spdlog::get("palate");
  if (logger == nullptr) logger = spdlog::stderr_color_mt("palate");

  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace palate

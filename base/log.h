// Logging: one line per event on standard error, with a level and a time. Never user content, never image bytes, never secrets.
#pragma once

#include <spdlog/spdlog.h>

namespace palate {

// Sets the pattern and the level ("debug", "info", "warning", "error") of the process. Called from main's thread; the
// last call counts.
void InitLogging(const std::string& level);

}  // namespace palate

// Logging: one line per event on standard error, with a level and a time. Never user content, never
// image bytes, never secrets.
#pragma once

#include <spdlog/spdlog.h>

// The formatter is compiled in libfmt; fmt 9 does not say so, and every file that logs would
// compile it again.
extern template void fmt::detail::vformat_to(fmt::detail::buffer<char>&, fmt::string_view,
                                             fmt::format_args, fmt::detail::locale_ref);

namespace palate {

// Sets the pattern and the level ("debug", "info", "warning", "error") of the process. Called from
// main's thread; the last call counts.
void InitLogging(const std::string& level);

}  // namespace palate

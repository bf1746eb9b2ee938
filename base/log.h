// Logging: one line per event on standard error, with a level and a time. Callers never log user
// content, image bytes or secrets.
#pragma once

#include <spdlog/spdlog.h>

// libfmt has this function compiled, but the headers of fmt 9 do not declare that, so without this
// line every file that logs would compile it again.
extern template void fmt::detail::vformat_to(fmt::detail::buffer<char>&, fmt::string_view,
                                             fmt::format_args, fmt::detail::locale_ref);

namespace palate {

// Sets the pattern and the level ("debug", "info", "warning", "error") of the process. Called on
// the main thread; a later call replaces an earlier one.
void InitLogging(const std::string& level);

}  // namespace palate

#include "services/runtime/config.h"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/bytes.h"
#include "base/command_line.h"
#include "base/status.h"

namespace palate::services {
namespace {

absl::Status WrongValue(absl::string_view value, absl::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("is ", QuoteForMessage(value), "; must be ", expected));
}

// Sets a number within its bounds; the parser is one of absl's.
template <typename Number, typename Parser>
std::function<absl::Status(absl::string_view)> NumberSetter(Parser parse, Number low, Number high,
                                                            std::function<void(Number)> assign) {
  return [=](absl::string_view text) -> absl::Status {
    Number value{};
    if (!parse(text, &value) || !(value >= low && value <= high)) {
      return WrongValue(
          text, absl::StrCat(std::is_integral_v<Number> ? "a whole number" : "a number", " from ",
                             low, " to ", high));
    }

    assign(value);
    return absl::OkStatus();
  };
}

std::string JoinMap(const std::map<std::string, std::string>& map) {
  return absl::StrJoin(map, ",", absl::PairFormatter("="));
}

absl::Status ParseMap(absl::string_view text, std::map<std::string, std::string>& map) {
  std::map<std::string, std::string> parsed;
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> entry =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(entry.first);
    if (name.empty() || part.find('=') == absl::string_view::npos)
      return WrongValue(text, "name=value,name=value");
    parsed[std::string(name)] = std::string(absl::StripAsciiWhitespace(entry.second));
  }
  map = std::move(parsed);
  return absl::OkStatus();
}

}  // namespace

void Config::Add(std::string key, Entry entry) {
  entries_.insert_or_assign(std::move(key), std::move(entry));
}

void Config::AddString(std::string key, std::string* target, std::string help) {
  Add(std::move(key), {std::move(help), false,
                       [target](absl::string_view text) {
                         *target = std::string(text);
                         return absl::OkStatus();
                       },
                       [target] { return *target; }});
}

void Config::AddBool(std::string key, bool* target, std::string help) {
  Add(std::move(key), {std::move(help) + " true or false.", false,
                       [target](absl::string_view text) {
                         if (text != "true" && text != "false")
                           return WrongValue(text, "true or false");
                         *target = text == "true";
                         return absl::OkStatus();
                       },
                       [target] { return *target ? "true" : "false"; }});
}

void Config::AddInt(std::string key, int* target, int low, int high, const std::string& help) {
  Add(std::move(key), {absl::StrCat(help, " ", low, " to ", high, "."), false,
                       NumberSetter<int>([](absl::string_view text,
                                            int* out) { return absl::SimpleAtoi(text, out); },
                                         low, high, [target](int value) { *target = value; }),
                       [target] { return absl::StrCat(*target); }});
}

void Config::AddInt64(std::string key, int64_t* target, int64_t low, int64_t high,
                      const std::string& help) {
  Add(std::move(key),
      {absl::StrCat(help, " ", low, " to ", high, "."), false,
       NumberSetter<int64_t>(
           [](absl::string_view text, int64_t* out) { return absl::SimpleAtoi(text, out); }, low,
           high, [target](int64_t value) { *target = value; }),
       [target] { return absl::StrCat(*target); }});
}

void Config::AddDouble(std::string key, double* target, double low, double high,
                       const std::string& help) {
  Add(std::move(key), {absl::StrCat(help, " ", low, " to ", high, "."), false,
                       NumberSetter<double>([](absl::string_view text,
                                               double* out) { return absl::SimpleAtod(text, out); },
                                            low, high, [target](double value) { *target = value; }),
                       [target] { return absl::StrCat(*target); }});
}

void Config::AddMilliseconds(std::string key, absl::Duration* target, int64_t low, int64_t high,
                             const std::string& help) {
  Add(std::move(key),
      {absl::StrCat(help, " Milliseconds, ", low, " to ", high, "."), false,
       NumberSetter<int64_t>(
           [](absl::string_view text, int64_t* out) { return absl::SimpleAtoi(text, out); }, low,
           high, [target](int64_t value) { *target = absl::Milliseconds(value); }),
       [target] { return absl::StrCat(absl::ToInt64Milliseconds(*target)); }});
}

void Config::AddMap(std::string key, std::map<std::string, std::string>* target, std::string help) {
  Add(std::move(key),
      {std::move(help), true, [target](absl::string_view text) { return ParseMap(text, *target); },
       [target] { return JoinMap(*target); }});
}

absl::Status Config::Set(const Entry& entry, absl::string_view value,
                         absl::string_view where) const {
  return Annotate(entry.set(value), where);
}

// Traverses a parsed document and passes each leaf to its entry.
class ConfigYamlReader {
 public:
  ConfigYamlReader(const Config& config, const std::string& origin)
      : config_(config), origin_(origin) {}

  absl::Status Read(const YAML::Node& node, const std::string& key) {
    const auto found = config_.entries_.find(key);
    if (found != config_.entries_.end()) return ReadValue(node, key, found->second);

    if (!key.empty() && !IsSection(key))
      return absl::InvalidArgumentError(absl::StrCat(Where(node, key), ": unknown key"));
    if (node.IsNull()) return absl::OkStatus();
    if (!node.IsMap())
      return absl::InvalidArgumentError(
          absl::StrCat(Where(node, key), ": must hold keys, each with a value"));

    for (const auto& child : node) {
      const std::string name = child.first.as<std::string>();
      const std::string path = key.empty() ? name : absl::StrCat(key, ".", name);
      if (!seen_.insert({path, true}).second)
        return absl::InvalidArgumentError(
            absl::StrCat(Where(child.first, path), ": is duplicated"));
      const bool known = config_.entries_.contains(path) || IsSection(path);
      if (!known)
        return absl::InvalidArgumentError(absl::StrCat(Where(child.first, path), ": unknown key"));
      PALATE_RETURN_IF_ERROR(Read(child.second, path));
    }
    return absl::OkStatus();
  }

 private:
  std::string Where(const YAML::Node& node, const std::string& key) const {
    return absl::StrCat(origin_, ":", node.Mark().line + 1, ": ", key);
  }

  bool IsSection(const std::string& key) const {
    const auto next = config_.entries_.lower_bound(absl::StrCat(key, "."));
    return next != config_.entries_.end() && next->first.compare(0, key.size() + 1, key + ".") == 0;
  }

  absl::Status ReadValue(const YAML::Node& node, const std::string& key,
                         const Config::Entry& entry) {
    const std::string where = Where(node, key);
    if (entry.is_map && node.IsMap()) {
      std::vector<std::string> parts;
      for (const auto& child : node)
        parts.push_back(
            absl::StrCat(child.first.as<std::string>(), "=", child.second.as<std::string>()));
      return config_.Set(entry, absl::StrJoin(parts, ","), where);
    }

    if (!node.IsScalar()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": must have ", entry.is_map ? "a map of strings" : "one value"));
    }
    return config_.Set(entry, node.as<std::string>(), where);
  }

  const Config& config_;
  const std::string& origin_;
  std::map<std::string, bool> seen_;
};

absl::Status Config::LoadYaml(const std::string& text, const std::string& origin) {
  // yaml-cpp throws; its exceptions are converted only here.
  try {
    return ConfigYamlReader(*this, origin).Read(YAML::Load(text), "");
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ":", error.mark.line + 1, ": ", error.msg));
  }
}

absl::Status Config::LoadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return absl::NotFoundError(
        absl::StrCat("configuration file ", path, ": ", std::strerror(errno)));

  std::ostringstream text;
  text << file.rdbuf();
  return LoadYaml(text.str(), path);
}

absl::Status Config::LoadEnvironment(const std::function<const char*(const char*)>& lookup) {
  for (const auto& [key, entry] : entries_) {
    const std::string name = EnvironmentName(key);
    const char* value = lookup(name.c_str());
    if (value != nullptr)
      PALATE_RETURN_IF_ERROR(Set(entry, value, absl::StrCat("environment variable ", name)));
  }
  return absl::OkStatus();
}

absl::Status Config::SetFlag(absl::string_view key, absl::string_view value) {
  const std::string flag = FlagName(key);
  const auto found = entries_.find(absl::StrReplaceAll(key, {{"-", "_"}}));
  if (found == entries_.end())
    return absl::InvalidArgumentError(absl::StrCat("--", flag, ": unknown flag; see --help"));
  return Set(found->second, value, absl::StrCat("--", flag));
}

std::string Config::EnvironmentName(absl::string_view key) {
  return absl::StrCat("PALATE_", absl::AsciiStrToUpper(absl::StrReplaceAll(key, {{".", "_"}})));
}

std::string Config::Help() const {
  std::string text;
  for (const auto& [key, entry] : entries_) {
    absl::StrAppend(&text, "  --", FlagName(key), "=", entry.get(), "\n      ", entry.help, "\n");
  }
  return text;
}

std::string Config::Summary() const {
  return absl::StrJoin(entries_, " ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first, "=", entry.second.get());
  });
}

std::vector<std::string> Config::Keys() const {
  std::vector<std::string> keys;
  for (const auto& entry : entries_) keys.push_back(entry.first);
  return keys;
}

bool Config::Has(absl::string_view key) const { return entries_.find(key) != entries_.end(); }

}  // namespace palate::services

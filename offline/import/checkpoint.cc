#include "offline/import/checkpoint.h"

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "offline/import/text_files.h"

namespace palate::offline {

Checkpoint::Checkpoint(std::string path, std::string identity)
    : path_(std::move(path)), identity_(std::move(identity)) {
  const absl::StatusOr<std::string> text = ReadFile(path_);
  if (!text.ok()) return;

  const nlohmann::json stored = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!stored.is_object() || stored.value("import", nlohmann::json()) != identity_ ||
      !stored.contains("sent") || !stored["sent"].is_object()) {
    spdlog::warn("{} is not a checkpoint of this import into this store: everything is sent again",
                 path_);
    return;
  }

  for (const auto& [name, portions] : stored["sent"].items()) {
    if (!portions.is_array()) continue;
    for (const nlohmann::json& portion : portions) {
      if (!portion.is_array() || portion.size() != 2 || !portion[0].is_number_unsigned() ||
          portion[0] == 0 || !portion[1].is_string())
        break;
      steps_[name].portions.push_back({portion[0].get<size_t>(), portion[1].get<std::string>()});
    }
  }
}

size_t Checkpoint::NextRows(const std::string& step) const {
  const auto found = steps_.find(step);
  if (found == steps_.end() || found->second.next >= found->second.portions.size()) return 0;
  return found->second.portions[found->second.next].rows;
}

bool Checkpoint::Skips(const std::string& step, size_t rows, absl::string_view digest) {
  if (NextRows(step) == 0) return false;
  Step& sent = steps_[step];
  const Portion& portion = sent.portions[sent.next];
  if (portion.rows == rows && portion.digest == digest) {
    ++sent.next;
    return true;
  }

  // Before anything else is sent: the file must not name rows that later ones have replaced.
  sent.portions.resize(sent.next);
  Write();
  return false;
}

void Checkpoint::Record(const std::string& step, size_t rows, absl::string_view digest,
                        bool complete) {
  if (path_.empty()) return;
  Step& sent = steps_[step];
  sent.closed = sent.closed || !complete;
  if (sent.closed) return;

  sent.portions.push_back({rows, std::string(digest)});
  sent.next = sent.portions.size();
  Write();
}

void Checkpoint::Write() const {
  nlohmann::json sent = nlohmann::json::object();
  for (const auto& [name, step] : steps_) {
    nlohmann::json& portions = sent[name] = nlohmann::json::array();
    for (const Portion& portion : step.portions)
      portions.push_back(nlohmann::json::array({portion.rows, portion.digest}));
  }

  // Written to another file and renamed, because with a damaged checkpoint the import starts again.
  const std::string aside = path_ + ".new";
  std::ofstream(aside) << nlohmann::json{{"import", identity_}, {"sent", sent}}.dump() << "\n";
  if (std::rename(aside.c_str(), path_.c_str()) != 0)
    spdlog::warn("the checkpoint {} cannot be written", path_);
}

}  // namespace palate::offline

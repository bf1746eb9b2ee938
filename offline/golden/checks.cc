#include "offline/golden/checks.h"

#include <c10/core/InferenceMode.h>

#include <array>

#include "absl/strings/str_cat.h"
#include "models/torch_status.h"

namespace palate::golden {
namespace {

struct Entry {
  const char* key;  // in inputs.json
  Check check;
};
// The keys greedy_new_tokens, padding, prompt and images are parameters of these checks and have no
// entry.
constexpr std::array<Entry, 16> kChecks = {{{"tokenize", CheckTokenize},
                                            {"third_party_cases", CheckThirdPartyCases},
                                            {"max_length", CheckPadded},
                                            {"chat", CheckChat},
                                            {"base", CheckAdapter},
                                            {"logits_prompts", CheckLogits},
                                            {"batch_prompts", CheckBatch},
                                            {"greedy_candidates", CheckGreedy},
                                            {"score", CheckScore},
                                            {"rerank", CheckRerank},
                                            {"cases", CheckVisionLanguage},
                                            {"texts", CheckDualEncoder},
                                            {"sentences", CheckSentences},
                                            {"embed", CheckEmbed},
                                            {"tower_images", CheckImageTower},
                                            {"processors", CheckProcessors}}};

}  // namespace

void CheckFixture(Fixture& fixture, Report& report) {
  const c10::InferenceMode inference;
  if (fixture.is_published()) {
    const absl::Status status = fixture.VerifyPublished();
    report.Add(
        status.ok(), "published checkpoint",
        status.ok() ? "the SHA-256 digests of its files are equal" : std::string(status.message()));
  }

  bool asked = false;
  for (const Entry& entry : kChecks) {
    if (!fixture.inputs().Has(entry.key)) continue;
    asked = true;
    const absl::Status status = models::CatchTorch([&] { return entry.check(fixture, report); });
    if (!status.ok()) report.Fail(entry.key, status);
  }
  if (!asked) report.Add(false, "inputs.json", "no key of it asks for a check");

  for (const JsonNode* notes : {&fixture.inputs(), &fixture.expected()}) {
    notes->Ignore("note");
    notes->Ignore("notes");
  }
  for (const std::string& place : fixture.Unconsumed())
    report.Add(false, "coverage", absl::StrCat(place, " was consumed by no check"));
}

}  // namespace palate::golden

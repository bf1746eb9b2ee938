// The checks of a fixture: one function for each key that inputs.json may have.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "offline/golden/fixture.h"
#include "offline/golden/report.h"

namespace palate::golden {

// Adds its results to the report. An error status means that the check could not run. May throw
// what ATen throws; CheckFixture() catches it.
using Check = absl::Status (*)(Fixture& fixture, Report& report);

// tokenizer_checks.cc
absl::Status CheckTokenize(Fixture& fixture, Report& report);
absl::Status CheckThirdPartyCases(Fixture& fixture, Report& report);
absl::Status CheckPadded(Fixture& fixture, Report& report);
// Compares `tokenize` of expected.json with the tokens of these texts, which inputs.json lists
// under `tokenize` or, for a dual encoder, under `texts`.
absl::Status CompareTokenized(Fixture& fixture, Report& report,
                              const std::vector<std::string>& texts);
// chat_check.cc
absl::Status CheckChat(Fixture& fixture, Report& report);
// language_model_checks.cc
absl::Status CheckLogits(Fixture& fixture, Report& report);
absl::Status CheckBatch(Fixture& fixture, Report& report);
absl::Status CheckGreedy(Fixture& fixture, Report& report);
absl::Status CheckScore(Fixture& fixture, Report& report);
absl::Status CheckAdapter(Fixture& fixture, Report& report);
// rerank_check.cc
absl::Status CheckRerank(Fixture& fixture, Report& report);
// vision_language_check.cc
absl::Status CheckVisionLanguage(Fixture& fixture, Report& report);
// dual_encoder_check.cc
absl::Status CheckDualEncoder(Fixture& fixture, Report& report);
// sentence_check.cc
absl::Status CheckSentences(Fixture& fixture, Report& report);
// embed_check.cc
absl::Status CheckEmbed(Fixture& fixture, Report& report);
// image_tower_check.cc
absl::Status CheckImageTower(Fixture& fixture, Report& report);
// processor_check.cc
absl::Status CheckProcessors(Fixture& fixture, Report& report);

// Runs the check of every key in inputs.json, then reports each key and tensor that no check read.
void CheckFixture(Fixture& fixture, Report& report);

}  // namespace palate::golden

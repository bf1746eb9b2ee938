// What a fixture may ask, by the keys of its inputs.json: one function a key, in a file of its own
// kind.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "offline/golden/fixture.h"
#include "offline/golden/report.h"

namespace palate::golden {

// Adds its findings to the report; a status means that it could not be carried out. May throw as
// ATen does.
using Check = absl::Status (*)(Fixture& fixture, Report& report);

// tokenizer_checks.cc
absl::Status CheckTokenize(Fixture& fixture, Report& report);
absl::Status CheckThirdPartyCases(Fixture& fixture, Report& report);
absl::Status CheckPadded(Fixture& fixture, Report& report);
// expected.json: tokenize, for these texts; inputs name them by the key `tokenize` or, for a dual
// encoder, `texts`.
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

// Runs every check that the fixture's keys ask for, then reports each key and tensor that none of
// them consumed.
void CheckFixture(Fixture& fixture, Report& report);

}  // namespace palate::golden

#include "models/causal_lm/causal_lm.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <utility>

#include "models/image/image.h"
#include "tests/models/golden_tensors.h"
#include "tests/temp_folder.h"

namespace palate::models {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<const CausalLm> LoadLm(const std::string& folder,
                                       const LmLoadOptions& options = {}) {
  auto lm = CausalLm::Load(folder, options);
  EXPECT_TRUE(lm.ok()) << lm.status();
  return lm.ok() ? *lm : nullptr;
}

// A vision-language case of the goldens: its messages and the reference's results.
struct VlCase {
  std::string name;
  nlohmann::ordered_json messages;
  nlohmann::ordered_json expected;
};

std::vector<VlCase> CasesOf(const Golden& golden) {
  const auto inputs = golden.inputs();
  const auto expected = golden.expected();

  std::vector<VlCase> cases;
  for (size_t i = 0; i < inputs["cases"].size(); ++i) {
    cases.push_back(
        {inputs["cases"][i]["name"], inputs["cases"][i]["messages"], expected["cases"][i]});
  }
  return cases;
}

// Prepares messages as a service does: render, tokenize, preprocess, expand.
LmSequence Prepare(const CausalLm& lm, const Golden& golden,
                   const nlohmann::ordered_json& messages) {
  LmSequence sequence;
  for (const auto& message : messages) {
    for (const auto& part : message["content"]) {
      if (part["type"] != "image") continue;
      const auto image = DecodeImage(ReadAll(golden.input(part["image"])));
      EXPECT_TRUE(image.ok()) << image.status();
      auto patches = lm.image_processor()->Process(*image);
      EXPECT_TRUE(patches.ok()) << patches.status();
      sequence.images.push_back(*std::move(patches));
    }
  }

  const auto prompt =
      lm.chat_template()->Render({{"messages", messages}, {"add_generation_prompt", true}});
  EXPECT_TRUE(prompt.ok()) << prompt.status();
  const auto encoded = lm.tokenizer().Encode(*prompt);
  EXPECT_TRUE(encoded.ok()) << encoded.status();

  auto ids = lm.ExpandImages(encoded->ids, sequence.images);
  EXPECT_TRUE(ids.ok()) << ids.status();

  sequence.ids = *std::move(ids);
  EXPECT_TRUE(lm.Check(sequence).ok()) << lm.Check(sequence);
  return sequence;
}

class GoldenVlTest : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenVlTest() : golden_(GetParam()) {}
  void SetUp() override {
    PALATE_SKIP_WITHOUT(golden_);

    lm_ = LoadLm(golden_.checkpoint());
    ASSERT_NE(lm_, nullptr);
  }
  std::vector<LmSequence> AllSequences() const {
    std::vector<LmSequence> sequences;
    for (const VlCase& a_case : CasesOf(golden_))
      sequences.push_back(Prepare(*lm_, golden_, a_case.messages));
    return sequences;
  }

  const Golden golden_;
  const c10::InferenceMode inference_;
  std::shared_ptr<const CausalLm> lm_;
};

TEST_P(GoldenVlTest, PromptsPatchesAndPositionsEqualTheReference) {
  const TensorMap tensors = ReferenceTensors(golden_);
  for (const VlCase& a_case : CasesOf(golden_)) {
    const LmSequence sequence = Prepare(*lm_, golden_, a_case.messages);
    EXPECT_EQ(sequence.ids, Ids(a_case.expected["input_ids"])) << a_case.name;
    EXPECT_TRUE(lm_->Positions(sequence).equal(tensors.at(a_case.name + ".position_ids")))
        << a_case.name;

    std::vector<at::Tensor> pixels;
    std::vector<int64_t> grids;
    for (const ImagePatches& image : sequence.images) {
      pixels.push_back(image.pixel_values);
      grids.insert(grids.end(), {image.grid_t, image.grid_h, image.grid_w});
    }

    if (pixels.empty()) continue;
    ExpectClose(at::cat(pixels, 0), tensors.at(a_case.name + ".pixel_values"), 1e-5, a_case.name);
    EXPECT_EQ(grids, Ids(tensors.at(a_case.name + ".image_grid_thw"))) << a_case.name;
  }
}

TEST_P(GoldenVlTest, VisionTowerEqualsTheReference) {
  const TensorMap tensors = ReferenceTensors(golden_);
  for (const VlCase& a_case : CasesOf(golden_)) {
    const std::vector<LmSequence> sequences = {Prepare(*lm_, golden_, a_case.messages)};

    if (sequences[0].images.empty()) continue;
    const VisionFeatures features = lm_->ImageFeatures(sequences);
    ExpectSameEmbeddings(features.embeddings, tensors.at(a_case.name + ".image_embeds"),
                         a_case.name);

    for (size_t i = 0; i < features.deepstack.size(); ++i) {
      ExpectClose(features.deepstack[i],
                  tensors.at(a_case.name + ".deepstack." + std::to_string(i)), 1e-4, a_case.name);
    }

    EXPECT_EQ(
        tensors.count(a_case.name + ".deepstack." + std::to_string(features.deepstack.size())), 0u);
  }
}

TEST_P(GoldenVlTest, LogitsAndEmbeddingsEqualTheReference) {
  const TensorMap tensors = ReferenceTensors(golden_);
  for (const VlCase& a_case : CasesOf(golden_)) {
    const std::vector<LmSequence> sequences = {Prepare(*lm_, golden_, a_case.messages)};
    ExpectClose(lm_->decoder().Logits(lm_->Hidden(sequences)), tensors.at(a_case.name + ".logits"),
                1e-4, a_case.name);

    const at::Tensor last = lm_->LastHidden(sequences);
    ExpectClose(last[0], tensors.at(a_case.name + ".last_hidden"), 1e-4, a_case.name);
    const at::Tensor embedding = last / last.norm(2, 1, /*keepdim=*/true);
    ExpectSameEmbeddings(embedding, tensors.at(a_case.name + ".embedding").unsqueeze(0),
                         a_case.name);
  }
}

TEST_P(GoldenVlTest, GreedyContinuationThroughTheCacheEqualsTheReference) {
  for (const VlCase& a_case : CasesOf(golden_)) {
    if (!a_case.expected["greedy_reliable"].get<bool>()) continue;
    const std::vector<int64_t> ids = Ids(a_case.expected["new_ids"]);

    const LmSequence prompt = Prepare(*lm_, golden_, a_case.messages);
    EXPECT_EQ(lm_->Greedy(prompt, static_cast<int64_t>(ids.size())), ids) << a_case.name;
    // Stops after the first stop id.
    EXPECT_EQ(lm_->Greedy(prompt, static_cast<int64_t>(ids.size()), {&ids[0], 1}).size(), 1u);
  }
}

TEST_P(GoldenVlTest, BatchEqualsSingle) {
  const std::vector<LmSequence> sequences = AllSequences();
  const at::Tensor together = lm_->LastHidden(sequences);
  for (size_t i = 0; i < sequences.size(); ++i) {
    const at::Tensor alone = lm_->LastHidden({&sequences[i], 1});
    EXPECT_LE(MaxDifference(together[static_cast<int64_t>(i)], alone[0]), 1e-5) << "case " << i;
  }

  // The vision tower too, independently of the other images.
  const at::Tensor all_images = lm_->ImageFeatures(sequences).embeddings;
  int64_t row = 0;
  for (const LmSequence& sequence : sequences) {
    for (const ImagePatches& image : sequence.images) {
      const at::Tensor alone = lm_->vision()->Forward({&image, 1}).embeddings;
      EXPECT_LE(MaxDifference(all_images.narrow(0, row, alone.size(0)), alone), 1e-5);
      row += alone.size(0);
    }
  }
}

TEST_P(GoldenVlTest, ReadingInPiecesEqualsReadingAtOnce) {
  for (const LmSequence& whole : AllSequences()) {
    const at::Tensor at_once = lm_->LastHidden({&whole, 1});
    // The last image and the text after it are the second piece; the last tokens come one by one.
    const auto last_image_token =
        std::find(whole.ids.rbegin(), whole.ids.rend(), lm_->image_token_id());
    const auto text_after = static_cast<size_t>(last_image_token - whole.ids.rbegin());
    const size_t image_tokens =
        whole.images.empty()
            ? 0
            : static_cast<size_t>(lm_->vision()->MergedPatches(whole.images.back()));
    const size_t split =
        whole.images.empty() ? whole.ids.size() / 2 : whole.ids.size() - text_after - image_tokens;

    const size_t tail = whole.ids.size() - 3;
    LmSequence first = {
        .ids = {whole.ids.begin(), whole.ids.begin() + static_cast<ptrdiff_t>(split)},
        .images = whole.images};
    LmSequence second = {.ids = {whole.ids.begin() + static_cast<ptrdiff_t>(split),
                                 whole.ids.begin() + static_cast<ptrdiff_t>(tail)}};
    if (!whole.images.empty()) {
      second.images = {whole.images.back()};
      first.images.pop_back();
    }

    LmCache cache = lm_->NewCache(1, static_cast<int64_t>(whole.ids.size()));
    lm_->Hidden({&first, 1}, cache);
    lm_->Hidden({&second, 1}, cache);

    at::Tensor hidden;
    for (size_t i = tail; i < whole.ids.size(); ++i) {
      const LmSequence token = {.ids = {whole.ids[i]}, .images = {}};
      hidden = lm_->Hidden({&token, 1}, cache);
    }

    EXPECT_LE(MaxDifference(hidden, at_once), 1e-5);
  }
}

TEST_P(GoldenVlTest, HalfPrecisionStaysNear) {
  const std::vector<LmSequence> sequences = AllSequences();
  const at::Tensor exact = lm_->LastHidden(sequences);
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    const auto lm = LoadLm(golden_.checkpoint(), {.dtype = dtype});
    ASSERT_NE(lm, nullptr);
    EXPECT_EQ(lm->Hidden(sequences).scalar_type(), dtype);
    const at::Tensor cosine = at::cosine_similarity(lm->LastHidden(sequences), exact, 1);
    EXPECT_GE(cosine.min().item<double>(), 0.999) << c10::toString(dtype);
  }
}

// Stores the checkpoint's tensors under other names.
void RenameTensors(const std::string& folder,
                   const std::vector<std::pair<std::string, std::string>>& prefixes) {
  const std::string path = folder + "/model.safetensors";
  auto tensors = LoadTensors(path);
  ASSERT_TRUE(tensors.ok()) << tensors.status();

  TensorMap renamed;
  for (const auto& [name, tensor] : *tensors) {
    const auto row =
        std::find_if(prefixes.begin(), prefixes.end(),
                     [&name = name](const auto& pair) { return name.starts_with(pair.first); });
    ASSERT_NE(row, prefixes.end()) << name;
    renamed[row->second + name.substr(row->first.size())] = tensor;
  }

  ASSERT_TRUE(SaveTensors(renamed, path).ok());
}

TEST_P(GoldenVlTest, EveryLayoutOfTensorNamesLoads) {
  // Stored in the layout that it was published in.
  const bool older = std::string(GetParam()).starts_with("qwen2_5");
  const std::string vision = older ? "visual." : "model.visual.";
  const std::string decoder = older ? "model." : "model.language_model.";

  const std::vector<LmSequence> sequences = AllSequences();
  const at::Tensor expected = lm_->LastHidden(sequences);
  for (const auto& [new_vision, new_decoder] :
       std::vector<std::pair<std::string, std::string>>{{"model.visual.", "model.language_model."},
                                                        {"visual.", "model."},
                                                        {"visual.", "language_model."}}) {
    const TempFolder folder;
    CopyFolder(golden_.checkpoint(), folder.file("lm"));
    RenameTensors(folder.file("lm"),
                  {{vision, new_vision}, {"lm_head.", "lm_head."}, {decoder, new_decoder}});

    const auto lm = LoadLm(folder.file("lm"));
    ASSERT_NE(lm, nullptr) << new_vision << " " << new_decoder;
    EXPECT_TRUE(lm->LastHidden(sequences).equal(expected));
  }
}

// Writes an adapter with one update per weight, and merges the same updates into `weights`.
void WriteAdapter(const std::string& folder, const std::map<std::string, std::string>& stored_names,
                  TensorMap& weights) {
  constexpr double kScaling = 2;  // alpha / r
  std::filesystem::create_directories(folder);

  TensorMap tensors;
  for (const auto& [module, stored] : stored_names) {
    at::Tensor& weight = weights.at(stored + ".weight");
    const at::Tensor a = at::randn({2, weight.size(1)}) * 0.2;
    const at::Tensor b = at::randn({weight.size(0), 2}) * 0.2;
    weight = weight + kScaling * at::mm(b, a);
    tensors["base_model.model." + module + ".lora_A.weight"] = a;
    tensors["base_model.model." + module + ".lora_B.weight"] = b;
  }

  ASSERT_TRUE(SaveTensors(tensors, folder + "/adapter_model.safetensors").ok());
  WriteAll(
      folder + "/adapter_config.json",
      R"({"peft_type": "LORA", "base_model_name_or_path": "base", "r": 2, "lora_alpha": 4, "target_modules": ["proj", "q_proj"],
               "bias": "none", "fan_in_fan_out": false, "use_dora": false, "use_rslora": false, "modules_to_save": null})");
}

TEST_P(GoldenVlTest, AnAdapterReachesTowerAndDecoder) {
  // The names that training code gives to modules, independently of the checkpoint's layout.
  const bool older = std::string(GetParam()).starts_with("qwen2_5");
  const std::map<std::string, std::string> stored_names = {
      {"model.visual.blocks.0.attn.proj",
       older ? "visual.blocks.0.attn.proj" : "model.visual.blocks.0.attn.proj"},
      {"model.language_model.layers.0.self_attn.q_proj",
       older ? "model.layers.0.self_attn.q_proj"
             : "model.language_model.layers.0.self_attn.q_proj"}};

  const TempFolder folder;
  CopyFolder(golden_.checkpoint(), folder.file("merged"));
  auto weights = LoadTensors(golden_.checkpoint() + "/model.safetensors");
  ASSERT_TRUE(weights.ok());
  WriteAdapter(folder.file("adapter"), stored_names, *weights);
  ASSERT_TRUE(SaveTensors(*weights, folder.file("merged/model.safetensors")).ok());

  const auto merged = LoadLm(folder.file("merged"));
  const auto adapted = LoadLm(golden_.checkpoint(), {.adapter = folder.file("adapter")});
  ASSERT_NE(adapted, nullptr);

  const std::vector<LmSequence> sequences = AllSequences();
  ExpectClose(adapted->LastHidden(sequences), merged->LastHidden(sequences), 1e-5, "hidden");

  const at::Tensor features = adapted->ImageFeatures(sequences).embeddings;
  ExpectClose(features, merged->ImageFeatures(sequences).embeddings, 1e-5, "image features");
  EXPECT_GT(MaxDifference(features, lm_->ImageFeatures(sequences).embeddings), 1e-3);
}

TEST_P(GoldenVlTest, LoadsAsAnEncoderWithoutItsOutputMatrix) {
  const TempFolder folder;
  CopyFolder(golden_.checkpoint(), folder.file("lm"));

  auto tensors = LoadTensors(folder.file("lm/model.safetensors"));
  ASSERT_TRUE(tensors.ok());
  const bool tied = tensors->erase("lm_head.weight") == 0;
  ASSERT_TRUE(SaveTensors(*tensors, folder.file("lm/model.safetensors")).ok());

  const auto lm = LoadLm(folder.file("lm"));
  ASSERT_NE(lm, nullptr);
  EXPECT_EQ(lm->decoder().has_output(), tied);

  const std::vector<LmSequence> sequences = AllSequences();
  EXPECT_TRUE(lm->LastHidden(sequences).equal(lm_->LastHidden(sequences)));
}

TEST_P(GoldenVlTest, ChecksWhatItIsGiven) {
  LmSequence good;
  for (LmSequence& sequence : AllSequences()) {
    if (!sequence.images.empty()) good = std::move(sequence);
  }

  const auto message = [&](const LmSequence& sequence) {
    return std::string(lm_->Check(sequence).message());
  };
  const int64_t image_token = lm_->image_token_id();
  EXPECT_EQ(message(good), "");

  LmSequence bad = good;
  bad.ids.clear();
  EXPECT_THAT(message(bad), HasSubstr("no tokens"));

  bad = good;
  bad.ids[0] = lm_->decoder().config().vocab_size;
  EXPECT_THAT(message(bad), HasSubstr("token id"));

  bad = good;
  bad.ids.push_back(image_token);
  EXPECT_THAT(message(bad), HasSubstr("more image placeholders"));

  bad = good;
  bad.ids.erase(std::find(bad.ids.begin(), bad.ids.end(), image_token));
  EXPECT_THAT(message(bad), HasSubstr("in a row for images[0]"));

  bad = good;
  bad.images[0].grid_h += 1;
  EXPECT_THAT(message(bad), HasSubstr("images[0] is not a grid"));

  bad = good;
  bad.images[0].pixel_values = bad.images[0].pixel_values.narrow(1, 0, 5);
  EXPECT_THAT(message(bad), HasSubstr("images[0] is not a grid"));

  bad = good;
  bad.ids.resize(static_cast<size_t>(lm_->decoder().config().max_positions) + 1);
  EXPECT_THAT(message(bad), HasSubstr("at most"));

  EXPECT_FALSE(lm_->ExpandImages(std::vector<int64_t>{1, 2}, good.images).ok());
}

TEST_P(GoldenVlTest, FilesThatDoNotFitAreRefusedByName) {
  const auto refusal = [&](const std::string& file,
                           const std::function<void(nlohmann::json&)>& change) {
    const TempFolder folder;
    CopyFolder(golden_.checkpoint(), folder.file("lm"));
    nlohmann::json json = nlohmann::json::parse(ReadAll(folder.file("lm/" + file)));
    change(json);
    WriteAll(folder.file("lm/" + file), json.dump());
    return std::string(CausalLm::Load(folder.file("lm")).status().message());
  };

  EXPECT_THAT(
      refusal("config.json", [](auto& json) { json["vision_config"]["hidden_act"] = "mish"; }),
      HasSubstr("mish"));
  EXPECT_THAT(refusal("config.json", [](auto& json) { json.erase("vision_config"); }),
              HasSubstr("vision_config"));
  EXPECT_THAT(refusal("config.json", [](auto& json) { json.erase("image_token_id"); }),
              HasSubstr("image_token_id"));
  EXPECT_THAT(refusal("config.json",
                      [](auto& json) {
                        json["vision_config"]["depth"] =
                            json["vision_config"]["depth"].template get<int>() + 1;
                      }),
              HasSubstr("blocks."));

  EXPECT_THAT(refusal("config.json", [](auto& json) { json["vision_config"]["num_heads"] = 7; }),
              HasSubstr("num_heads"));
  EXPECT_THAT(refusal("config.json", [](auto& json) { json["vision_config"]["in_channels"] = 1; }),
              HasSubstr("channels"));
  EXPECT_THAT(
      refusal("config.json", [](auto& json) { json["vision_config"]["intermediate_size"] = 32; }),
      HasSubstr("blocks.0.mlp"));

  EXPECT_THAT(refusal("config.json",
                      [](auto& json) {
                        json["quantization_config"] = {{"bits", 4}};
                      }),
              HasSubstr("quantization_config"));

  EXPECT_THAT(
      refusal("preprocessor_config.json",
              [](auto& json) { json["patch_size"] = json["patch_size"].template get<int>() + 1; }),
      HasSubstr("image processor"));
  EXPECT_THAT(refusal("preprocessor_config.json", [](auto& json) { json["merge_size"] = 5; }),
              HasSubstr("blocks of 5"));
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenVlTest,
                         ::testing::Values("qwen3_vl-deepstack", "qwen2_5_vl-window"));

TEST(CausalLmTest, ReadsAFlatConfigNestedAsLaterVersionsSaveIt) {
  const Golden golden("qwen2_5_vl-window");
  PALATE_SKIP_WITHOUT(golden);

  const c10::InferenceMode inference;
  const TempFolder folder;
  CopyFolder(golden.checkpoint(), folder.file("lm"));

  nlohmann::json flat = nlohmann::json::parse(ReadAll(folder.file("lm/config.json")));
  nlohmann::json nested = {{"text_config", flat}};
  nested["text_config"].erase("vision_config");
  nested["text_config"]["rope_parameters"] = nested["text_config"]["rope_scaling"];
  nested["text_config"]["rope_parameters"]["rope_theta"] = flat["rope_theta"];
  for (const char* key : {"rope_scaling", "rope_theta", "hidden_act"})
    nested["text_config"].erase(key);
  for (const char* key :
       {"architectures", "model_type", "image_token_id", "vision_config", "tie_word_embeddings"})
    nested[key] = flat[key];

  // These equal the reference's defaults, so transformers omits them.
  for (const char* key : {"patch_size", "spatial_merge_size", "temporal_patch_size", "hidden_act"})
    nested["vision_config"].erase(key);
  nested["vision_config"].erase("in_channels");
  WriteAll(folder.file("lm/config.json"), nested.dump());

  const auto expected = LoadLm(golden.checkpoint());
  const auto lm = LoadLm(folder.file("lm"));
  ASSERT_NE(lm, nullptr);

  const LmSequence sequence = Prepare(*lm, golden, golden.inputs()["cases"][0]["messages"]);
  EXPECT_TRUE(lm->LastHidden({&sequence, 1}).equal(expected->LastHidden({&sequence, 1})));
}

TEST(CausalLmTest, LoadsEveryTextFamily) {
  const c10::InferenceMode inference;
  for (const char* name : {"qwen3-gqa", "qwen3-yarn", "llama-llama3rope_bf16", "qwen2-qkvbias"}) {
    const Golden golden(name);
    PALATE_SKIP_WITHOUT(golden);

    const auto lm = LoadLm(golden.checkpoint());
    ASSERT_NE(lm, nullptr) << name;
    EXPECT_FALSE(lm->has_vision());
    EXPECT_EQ(lm->image_processor(), nullptr);

    const TensorMap tensors = ReferenceTensors(golden);
    const auto prompts = golden.inputs()["logits_prompts"];
    for (size_t i = 0; i < prompts.size(); ++i) {
      const LmSequence sequence = {
          .ids = lm->tokenizer().Encode(prompts[i].get<std::string>())->ids, .images = {}};
      ASSERT_TRUE(lm->Check(sequence).ok());
      EXPECT_EQ(lm->Positions(sequence).dim(), 1);
      const std::string case_name = std::string(name) + " " + std::to_string(i);
      ExpectClose(lm->decoder().Logits(lm->Hidden({&sequence, 1})),
                  tensors.at("logits." + std::to_string(i)), 1e-4, case_name);
    }

    LmSequence with_image = {.ids = {1}, .images = {ImagePatches()}};
    EXPECT_THAT(std::string(lm->Check(with_image).message()), HasSubstr("the model is text-only"));
    EXPECT_FALSE(lm->ExpandImages(with_image.ids, with_image.images).ok());
  }
}

TEST(CausalLmTest, ATextModelLoadsWhateverItsChatTemplateSaysAndAVisionModelNamesTheFault) {
  const Golden text("qwen3-gqa");
  PALATE_SKIP_WITHOUT(text);
  const TempFolder folder;
  CopyFolder(text.checkpoint(), folder.file("text"));
  for (const char* content :
       {"{% no_such_statement %}", "\xff", "version https://git-lfs.github.com/spec/v1\n"}) {
    WriteAll(folder.file("text/chat_template.jinja"), content);
    const auto lm = LoadLm(folder.file("text"));
    ASSERT_NE(lm, nullptr) << content;
    EXPECT_EQ(lm->chat_template(), nullptr);
    EXPECT_TRUE(lm->Digest().ok()) << lm->Digest().status();
  }

  const Golden vision("qwen3_vl-deepstack");
  PALATE_SKIP_WITHOUT(vision);
  CopyFolder(vision.checkpoint(), folder.file("vision"));
  WriteAll(folder.file("vision/chat_template.jinja"), "{% no_such_statement %}");
  EXPECT_THAT(std::string(CausalLm::Load(folder.file("vision")).status().message()),
              HasSubstr("no_such_statement"));
}

TEST(CausalLmTest, AnAdapterFolderLoadsItsBase) {
  const Golden base("qwen3-gqa");
  const Golden adapter("lora-qwen3");
  PALATE_SKIP_WITHOUT(adapter);
  const c10::InferenceMode inference;

  const auto by_option = LoadLm(base.checkpoint(), {.adapter = adapter.checkpoint()});
  ASSERT_NE(by_option, nullptr);

  const TensorMap tensors = ReferenceTensors(adapter);
  const auto prompts = adapter.inputs()["logits_prompts"];
  for (size_t i = 0; i < prompts.size(); ++i) {
    const LmSequence sequence = {
        .ids = by_option->tokenizer().Encode(prompts[i].get<std::string>())->ids, .images = {}};
    ExpectClose(by_option->decoder().Logits(by_option->Hidden({&sequence, 1})),
                tensors.at("logits." + std::to_string(i)), 1e-4, std::to_string(i));
  }

  // The config names its base relative to its own folder.
  const TempFolder folder;
  CopyFolder(base.checkpoint(), folder.file("base"));
  CopyFolder(adapter.checkpoint(), folder.file("adapter"));
  nlohmann::json config =
      nlohmann::json::parse(ReadAll(folder.file("adapter/adapter_config.json")));
  config["base_model_name_or_path"] = "../base";
  WriteAll(folder.file("adapter/adapter_config.json"), config.dump());

  const auto by_folder = LoadLm(folder.file("adapter"));
  ASSERT_NE(by_folder, nullptr);
  const LmSequence sequence = {.ids = {5, 6, 7}, .images = {}};
  EXPECT_TRUE(by_folder->LastHidden({&sequence, 1}).equal(by_option->LastHidden({&sequence, 1})));
  EXPECT_FALSE(CausalLm::Load(folder.file("adapter"), {.adapter = adapter.checkpoint()}).ok());

  const auto plain = LoadLm(base.checkpoint());
  EXPECT_NE(*plain->Digest(), *by_option->Digest());
  EXPECT_EQ(*plain->Digest(), *LoadLm(base.checkpoint())->Digest());
}

TEST(CausalLmTest, SaysWhatIsMissing) {
  const TempFolder empty;
  EXPECT_EQ(CausalLm::Load(empty.path()).status().code(), absl::StatusCode::kNotFound);
  const Golden bert("clip-base");
  PALATE_SKIP_WITHOUT(bert);
  EXPECT_EQ(CausalLm::Load(bert.checkpoint()).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace palate::models

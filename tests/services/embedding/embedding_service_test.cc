// The embedding service over the built-in dual encoder: a real server, real models, and a real web
// server for images by URI.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "services/convert/types_convert.h"
#include "services/runtime/status_convert.h"
#include "tests/eventually.h"
#include "tests/fakes/http_server.h"
#include "tests/fakes/scripted_encoder.h"
#include "tests/fakes/valve_encoder.h"
#include "tests/services/embedding/embedding_parts.h"
#include "tests/services/processes.h"
#include "tests/temp_folder.h"

namespace palate::services {
namespace {

using embedding::HttpAnswer;
using embedding::HttpServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const char kService[] = "palate.embedding.v1.EmbeddingService";

class EmbeddingServiceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto model = embedding::EmbeddingModel::Load(BuiltinModel("dual_encoder"));
    ASSERT_TRUE(model.ok()) << model.status();
    models_ = new EmbeddingModels{{"dual_encoder", *std::move(model)}};
  }
  static void TearDownTestSuite() { delete models_; }
  void SetUp() override {
    config_.item_cache = {folder_.path() + "/cache", embedding::ItemCache::kMinBytes};
    Start();
  }
  void Start() {
    server_.reset();
    server_ = std::make_unique<EmbeddingServer>(config_, *models_);
  }

  static embedding_pb::EmbedRequest Request(const std::vector<embedding_pb::EmbedInput>& inputs) {
    embedding_pb::EmbedRequest request;
    request.set_catalog("shop");
    for (const auto& input : inputs) *request.add_inputs() = input;
    return request;
  }
  embedding_pb::EmbedResponse Embed(const embedding_pb::EmbedRequest& request) {
    embedding_pb::EmbedResponse response;
    const absl::Status status = server_->Embed(request, response);
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }
  static embedding_pb::EmbedInput Query(const std::string& text) {
    embedding_pb::EmbedInput input = TextInput(text);
    input.set_role(embedding_pb::EMBED_ROLE_QUERY);
    return input;
  }
  static embedding_pb::EmbedInput ByUri(const std::vector<std::string>& uris) {
    embedding_pb::EmbedInput input;
    for (const std::string& uri : uris) input.add_image_uris(uri);
    return input;
  }
  void AllowOnly(const HttpServer& web) {
    config_.allowed_hosts = web.host();
    config_.fetch.allow_http = true;
    config_.fetch.admit_loopback = true;
    Start();
  }
  static absl::Status FailureOf(const embedding_pb::EmbedResponse& response, int index) {
    for (const auto& failure : response.failures()) {
      if (failure.index() == index) return FromRpcStatus(failure.status());
    }
    return absl::OkStatus();
  }

  static EmbeddingModels* models_;
  TempFolder folder_;
  EmbeddingConfig config_;
  std::unique_ptr<EmbeddingServer> server_;
};

EmbeddingModels* EmbeddingServiceTest::models_ = nullptr;

TEST_F(EmbeddingServiceTest, ModelInfoTellsWhatDecidesAboutVectors) {
  embedding_pb::GetModelInfoResponse response;
  ASSERT_TRUE(CallUnary(server_->stub().async(), &EmbeddingStub::GetModelInfo,
                        embedding_pb::GetModelInfoRequest(), response,
                        {.deadline = absl::Now() + absl::Seconds(60)})
                  .ok());

  ASSERT_EQ(response.models_size(), 1);
  const embedding_pb::ModelInfo& model = response.models(0);
  EXPECT_EQ(model.name(), "dual_encoder");
  EXPECT_TRUE(model.is_default());
  EXPECT_EQ(model.family(), "dual_encoder");
  EXPECT_EQ(model.dimensions(), 384);
  EXPECT_EQ(model.pooling(), "mean");
  EXPECT_FALSE(model.pooling_is_assumed());
  EXPECT_EQ(model.unknown_config_keys_size(), 0);
  EXPECT_THAT(model.weights_sha256(), MatchesRegex("[0-9a-f]{64}"));
  EXPECT_THAT(model.query_template(), HasSubstr("{text}"));
  EXPECT_THAT(model.item_template(), HasSubstr("{text}"));
  EXPECT_EQ(model.numeric_type(), "fp32");
  EXPECT_EQ(model.device(), "cpu");
  EXPECT_GT(model.image_size(), 0);
  EXPECT_FALSE(model.has_pixel_budget());

  ASSERT_EQ(model.spaces_size(), 3);
  for (const auto& space : model.spaces()) EXPECT_FALSE(space.space().fingerprint().empty());
}

TEST(EmbeddingConvertTest, ModelInfoCarriesWhatIsAssumed) {
  embedding::ModelInfo info;
  info.pooling = "mean";
  info.pooling_is_assumed = true;
  info.unknown_config_keys = {"auto_map", "text_config.warp"};
  const embedding_pb::ModelInfo out = ToProto("m", info, /*is_default=*/true);
  EXPECT_TRUE(out.pooling_is_assumed());
  EXPECT_THAT(out.unknown_config_keys(), ElementsAre("auto_map", "text_config.warp"));
}

TEST_F(EmbeddingServiceTest, SecondEmbeddingOfAnItemIsTheSameBytesFromTheCacheAlsoAfterARestart) {
  embedding_pb::EmbedInput item = TextInput("walnut lamp");
  item.add_images(MakePng(40, 30, 200, 10, 10));

  const auto first = Embed(Request({item, TextInput("green tent")}));
  const auto second = Embed(Request({item, TextInput("green tent")}));
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());

  EXPECT_EQ(server_->Stats().items().misses(), 2);
  EXPECT_EQ(server_->Stats().items().hits(), 2);

  Start();
  EXPECT_EQ(Embed(Request({item})).results(0).SerializeAsString(),
            first.results(0).SerializeAsString());

  const auto stats = server_->Stats();
  EXPECT_EQ(stats.items().hits(), 1);
  EXPECT_EQ(stats.items().vectors(), 6);
  EXPECT_EQ(stats.items().max_bytes(), embedding::ItemCache::kMinBytes);
  EXPECT_EQ(stats.engines(0).batches(), 0) << "the model was not used";
}

TEST_F(EmbeddingServiceTest, QueriesAreRememberedInMemoryUntilTheirUserIsDropped) {
  embedding_pb::EmbedRequest request = Request({Query("a warm red lamp")});
  request.set_user_id("ada");
  request.add_spaces("text");
  const auto first = Embed(request);
  EXPECT_EQ(Embed(request).SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(server_->Stats().queries().hits(), 1);
  EXPECT_EQ(server_->Stats().queries().vectors(), 1);
  EXPECT_EQ(server_->Stats().items().vectors(), 0);

  embedding_pb::DropUserRequest drop;
  drop.set_catalog("shop");
  drop.set_user_id("ada");
  embedding_pb::DropUserResponse dropped;
  const auto call = [&] {
    return CallUnary(server_->stub().async(), &EmbeddingStub::DropUser, drop, dropped,
                     {.deadline = absl::Now() + absl::Seconds(60)});
  };

  ASSERT_TRUE(call().ok());
  EXPECT_EQ(dropped.dropped_vectors(), 1);
  EXPECT_EQ(server_->Stats().queries().vectors(), 0);

  Embed(request);
  EXPECT_EQ(server_->Stats().queries().misses(), 2);

  drop.clear_user_id();
  EXPECT_EQ(FieldViolations(call()).size(), 1u);
}

TEST_F(EmbeddingServiceTest, NoFileOfTheCacheHoldsAQuery) {
  embedding_pb::EmbedRequest request = Request({Query("unmistakable words"), TextInput("a lamp")});
  request.set_user_id("ada-lovelace");
  Embed(request);
  request.clear_user_id();
  Embed(request);

  server_.reset();
  for (const auto& file : std::filesystem::directory_iterator(config_.item_cache.dir)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_EQ(bytes.find("unmistakable"), std::string::npos) << file.path();
    EXPECT_EQ(bytes.find("lovelace"), std::string::npos) << file.path();
  }

  Start();
  EXPECT_EQ(server_->Stats().items().vectors(), 3)
      << "those of the lamp, from the call without a user";
}

TEST_F(EmbeddingServiceTest, PicturesByUriComeAfterThoseByBytes) {
  const std::string red = MakePng(40, 30, 200, 10, 10);
  const std::string blue = MakePng(20, 50, 10, 10, 200);
  const HttpServer web({{"/red.png", HttpAnswer(red)},
                        {"/blue", HttpAnswer(blue, "200 OK", "Content-Type: text/plain\r\n")}});
  AllowOnly(web);

  embedding_pb::EmbedInput bytes;
  bytes.add_images(red);
  bytes.add_images(blue);
  embedding_pb::EmbedInput mixed = ByUri({web.uri("/blue")});
  mixed.add_images(red);

  const auto response =
      Embed(Request({bytes, ByUri({web.uri("/red.png"), web.uri("/blue")}), mixed}));

  ASSERT_TRUE(response.failures().empty()) << response.failures(0).status().message();
  for (const int i : {1, 2})
    EXPECT_EQ(response.results(i).SerializeAsString(), response.results(0).SerializeAsString())
        << i;
  EXPECT_EQ(server_->Stats().fetches().fetched(), 3);
  EXPECT_EQ(server_->Stats().items().misses(), 1) << "the same content by bytes and by URI";
}

TEST_F(EmbeddingServiceTest, PictureThatCannotBeFetchedFailsItsInputAndOneThatCannotBeReadItself) {
  const std::string red = MakePng(40, 30, 200, 10, 10);
  const HttpServer web(
      {{"/red", HttpAnswer(red)}, {"/html", HttpAnswer("<html>not a picture</html>")}});
  AllowOnly(web);

  embedding_pb::EmbedInput unreadable = ByUri({web.uri("/red"), web.uri("/html")});
  unreadable.add_images(red);
  embedding_pb::EmbedInput many = ByUri(std::vector<std::string>(16, web.uri("/red")));
  many.add_images(red);

  const auto response =
      Embed(Request({TextInput("a lamp"), ByUri({web.uri("/red"), web.uri("/missing")}), unreadable,
                     ByUri({"https://img.example.com/x"}), ByUri({"file:///etc/passwd"}), many,
                     ByUri({web.uri("/red")})}));

  ASSERT_EQ(response.results_size(), 7);
  EXPECT_TRUE(FailureOf(response, 0).ok());
  EXPECT_TRUE(FailureOf(response, 6).ok());

  const std::vector<std::pair<absl::StatusCode, std::string>> expected = {
      {absl::StatusCode::kNotFound, "inputs[1].image_uris[1]: the server answered with status 404"},
      {absl::StatusCode::kOk, ""},
      {absl::StatusCode::kFailedPrecondition,
       "inputs[3].image_uris[0]: the host \"img.example.com\" with port 443 is not allowed"},
      {absl::StatusCode::kInvalidArgument, "inputs[4].image_uris[0] has the scheme \"file\""},
      {absl::StatusCode::kInvalidArgument,
       "inputs[5].image_uris and images have 17 images together"}};

  for (size_t i = 0; i < expected.size(); ++i) {
    const absl::Status status = FailureOf(response, static_cast<int>(i) + 1);
    EXPECT_EQ(status.code(), expected[i].first) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(expected[i].second));
  }

  const embedding_pb::EmbedResult& read = response.results(2);
  EXPECT_GT(read.vectors_size(), 0) << "of the pictures that are left";
  ASSERT_EQ(read.failed_parts_size(), 1);
  EXPECT_EQ(read.failed_parts(0).part(), "image_uris[1]");
  EXPECT_THAT(read.failed_parts(0).status().message(), HasSubstr("image_uris[1]"));
}

TEST_F(EmbeddingServiceTest, PicturesByUriAreOffUntilHostsAreAllowed) {
  const auto response =
      Embed(Request({ByUri({"https://img.example.com/a.png"}), TextInput("a lamp")}));
  const absl::Status status = FailureOf(response, 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("embedding.uri.allowed_hosts"));
  EXPECT_TRUE(FailureOf(response, 1).ok());
}

TEST_F(EmbeddingServiceTest, StreamAndCallGiveTheSameVectors) {
  const auto called = Embed(Request({TextInput("walnut lamp"), TextInput("green tent")}));

  grpc::ClientContext context;
  const auto stream = server_->stub().EmbedStream(&context);
  embedding_pb::EmbedStreamRequest request;
  request.mutable_settings()->set_catalog("shop");
  for (const char* text : {"green tent", "walnut lamp"}) {
    request.add_inputs()->set_id(text);
    *request.mutable_inputs(request.inputs_size() - 1)->mutable_input() = TextInput(text);
  }
  ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();

  std::map<std::string, std::string> vectors;
  embedding_pb::EmbedStreamResponse response;
  while (stream->Read(&response)) {
    for (const auto& result : response.results())
      vectors[result.id()] = result.result().SerializeAsString();
  }

  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(vectors["walnut lamp"], called.results(0).SerializeAsString());
  EXPECT_EQ(vectors["green tent"], called.results(1).SerializeAsString());
}

TEST_F(EmbeddingServiceTest, WrongRequestsAreRefusedByField) {
  struct Case {
    std::string field;
    std::function<void(embedding_pb::EmbedRequest&)> change;
  };
  const std::vector<Case> cases = {
      {"inputs", [](auto& request) { request.clear_inputs(); }},
      {"output_dimensions", [](auto& request) { request.set_output_dimensions(385); }},
      {"output_dimensions", [](auto& request) { request.set_output_dimensions(-1); }},
      {"instruction", [](auto& request) { request.set_instruction(std::string(8193, 'x')); }},
      {"instruction", [](auto& request) { request.set_instruction("\xff"); }},
      {"user_id", [](auto& request) { request.set_user_id(std::string(257, 'x')); }},
      {"catalog", [](auto& request) { request.set_catalog(std::string(257, 'x')); }},
      {"spaces[0]", [](auto& request) { request.add_spaces("audio"); }},
      {"lane", [](auto& request) { request.set_lane(static_cast<embedding_pb::Lane>(7)); }},
  };

  for (const Case& c : cases) {
    embedding_pb::EmbedRequest request = Request({TextInput("a lamp")});
    c.change(request);
    embedding_pb::EmbedResponse response;
    const absl::Status status = server_->Embed(request, response);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field << ": " << status;
    ASSERT_EQ(FieldViolations(status).size(), 1u) << status;
    EXPECT_EQ(FieldViolations(status)[0].field, c.field);
  }
}

TEST_F(EmbeddingServiceTest, WrongInputsFailAloneByField) {
  embedding_pb::EmbedInput unknown_role = TextInput("a lamp");
  unknown_role.set_role(static_cast<embedding_pb::EmbedRole>(7));
  const auto response =
      Embed(Request({TextInput("a lamp"), unknown_role, TextInput("caf\xE9"), TextInput("")}));

  EXPECT_TRUE(FailureOf(response, 0).ok());
  const std::vector<std::string> fields = {"inputs[1].role", "inputs[2].fields[0]", "inputs[3]"};
  for (size_t i = 0; i < fields.size(); ++i) {
    const absl::Status status = FailureOf(response, static_cast<int>(i) + 1);
    ASSERT_EQ(FieldViolations(status).size(), 1u) << status;
    EXPECT_EQ(FieldViolations(status)[0].field, fields[i]);
  }
}

TEST_F(EmbeddingServiceTest, DamagedCacheFolderIsBegunAnewAndTheServiceServes) {
  Embed(Request({TextInput("a lamp")}));
  server_.reset();
  for (const auto& file : std::filesystem::directory_iterator(config_.item_cache.dir)) {
    if (file.path().filename().string().rfind("MANIFEST", 0) == 0)
      std::ofstream(file.path()) << "noise";
  }

  Start();
  Embed(Request({TextInput("a lamp")}));
  EXPECT_EQ(server_->Stats().items().misses(), 1);
  EXPECT_TRUE(std::filesystem::exists(config_.item_cache.dir + ".damaged"));
}

TEST(EmbeddingConfigTest, WrongHostsAreAnErrorAtStartThatNamesTheKey) {
  EmbeddingConfig config;
  config.allowed_hosts = "https://img.example.com/";
  config.default_model = "valve";
  const auto services = MakeEmbeddingServices(
      config, EmbeddingModels{{"valve", embedding::EmbeddingModel::FromEncoder(
                                            std::make_unique<embedding::ValveEncoder>(
                                                std::make_shared<embedding::Valve>()))}});
  EXPECT_EQ(services.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(services.status().message()), HasSubstr("embedding.uri.allowed_hosts"));
}

TEST(EmbeddingConfigTest, AdapterOfAModelThatIsNotThereIsAnErrorAtStart) {
  EmbeddingConfig config;
  config.adapters = {{"typo", "/nowhere"}};
  EXPECT_THAT(std::string(MakeEmbeddingServices(config).status().message()),
              HasSubstr("embedding.adapters"));
}

class StuckEngineTest : public ::testing::Test {
 protected:
  StuckEngineTest() {
    config_.default_model = "valve";

    config_.stuck_after = absl::Milliseconds(100);
    server_ = std::make_unique<EmbeddingServer>(
        config_,
        EmbeddingModels{{"valve", embedding::EmbeddingModel::FromEncoder(
                                      std::make_unique<embedding::ValveEncoder>(valve_))}});
  }
  bool Healthy() { return server_->Serves("") && server_->Serves(kService); }
  bool Red() { return !server_->Serves("") && !server_->Serves(kService); }

  std::shared_ptr<embedding::Valve> valve_ = std::make_shared<embedding::Valve>();
  EmbeddingConfig config_;
  std::unique_ptr<EmbeddingServer> server_;
};

TEST_F(StuckEngineTest, HealthIsRedWhileTheEngineIsStuckAndGreenAgainAfterwards) {
  EXPECT_TRUE(Healthy());

  valve_->Set(false);
  std::thread caller([&] {
    embedding_pb::EmbedRequest request;
    *request.add_inputs() = TextInput("a lamp");
    embedding_pb::EmbedResponse response;
    EXPECT_TRUE(server_->Embed(request, response).ok());
  });

  EXPECT_TRUE(Eventually([&] { return Red(); }));
  EXPECT_GT(server_->Stats().engines(0).stalled_ms(), 0);

  valve_->Set(true);
  EXPECT_TRUE(Eventually([&] { return Healthy(); }));
  caller.join();
}

// Two models: `valve` with 4 dimensions under the name a, `scripted` with 2 under the name b.
class WantedVectorsTest : public ::testing::Test {
 protected:
  static EmbeddingConfig Config() {
    EmbeddingConfig config;
    config.default_model = "a";
    return config;
  }
  static EmbeddingModels Models() {
    return {
        {"a", embedding::EmbeddingModel::FromEncoder(
                  std::make_unique<embedding::ValveEncoder>(std::make_shared<embedding::Valve>()))},
        {"b",
         embedding::EmbeddingModel::FromEncoder(std::make_unique<embedding::ScriptedEncoder>())}};
  }
  static embedding_pb::EmbedRequest Wanting(const std::vector<std::string>& fingerprints) {
    embedding_pb::EmbedRequest request;
    *request.add_inputs() = TextInput("a lamp");
    for (const std::string& fingerprint : fingerprints)
      *request.add_wanted() = ToProto(SpaceKey{"text", fingerprint});
    return request;
  }
  // The fingerprint and the dimensions of the one vector, or the code of the error.
  std::string Made(const embedding_pb::EmbedRequest& request) {
    embedding_pb::EmbedResponse response;
    const absl::Status status = server_.Embed(request, response);
    if (!status.ok()) return absl::StatusCodeToString(status.code());
    EXPECT_TRUE(response.failures().empty()) << response.DebugString();
    EXPECT_EQ(response.results(0).vectors_size(), 1) << response.DebugString();
    const types_pb::Vector& vector = response.results(0).vectors(0).vector();
    return absl::StrCat(vector.space().fingerprint(), " ", vector.values().size() / sizeof(float));
  }

  EmbeddingServer server_{Config(), Models()};
};

TEST_F(WantedVectorsTest, AreMadeByWhicheverLoadedModelMakesThem) {
  EXPECT_EQ(Made(Wanting({})), "valve 4");
  EXPECT_EQ(Made(Wanting({"scripted"})), "scripted 2");
  embedding_pb::EmbedRequest request = Wanting({"scripted"});
  request.set_model("a name that is not configured any more");
  EXPECT_EQ(Made(request), "scripted 2");
}

TEST_F(WantedVectorsTest, AreTheFirstThatALoadedModelMakes) {
  EXPECT_EQ(Made(Wanting({"withdrawn", "valve", "scripted"})), "valve 4");
  EXPECT_EQ(Made(Wanting({"withdrawn"})), "FAILED_PRECONDITION");
  EXPECT_EQ(Made(Wanting(std::vector<std::string>(17, "valve"))), "INVALID_ARGUMENT");
}

TEST_F(WantedVectorsTest, AreTruncatedAsTheirFingerprintSays) {
  EXPECT_EQ(Made(Wanting({"valve@3"})), "valve@3 3");
  for (const char* other : {"valve@4", "valve@5", "valve@0", "valve@-1", "valve@", "valve@x",
                            "valve@03", "valv", "valve3"})
    EXPECT_EQ(Made(Wanting({other})), "FAILED_PRECONDITION") << other;
}

}  // namespace
}  // namespace palate::services

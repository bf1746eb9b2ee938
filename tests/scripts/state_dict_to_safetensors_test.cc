// scripts/state_dict_to_safetensors.py over state dicts that are put together here, byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/checkpoint/safetensors.h"
#include "tests/temp_folder.h"

namespace palate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string LittleEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

// Pieces of pickles of protocol 2.
std::string Text(const std::string& text) {
  return absl::StrCat("X", LittleEndian(text.size(), 4), text);
}
std::string Number(uint32_t value) { return "J" + LittleEndian(value, 4); }
std::string Name(const std::string& module, const std::string& name) {
  return absl::StrCat("c", module, "\n", name, "\n");
}
std::string Tuple(const std::vector<std::string>& values) {
  std::string pickle = "(";
  for (const std::string& value : values) pickle += value;
  return pickle + "t";
}
std::string Pickle(const std::string& body) { return "\x80\x02" + body + "."; }

const std::string kEmptyHooks = Name("collections", "OrderedDict") + ")R";
const std::string kFalse = "\x89";

// What a tensor's pickle says; the default is a [2, 3] of floats.
struct Parts {
  std::string type = "FloatStorage";
  std::string key = "7";
  uint32_t elements = 6;
  uint32_t offset = 0;
  std::vector<uint32_t> shape = {2, 3};
  std::vector<uint32_t> strides = {3, 1};
  std::string hooks = kEmptyHooks;
  std::string function = Name("torch._utils", "_rebuild_tensor_v2");
};

std::string Sizes(const std::vector<uint32_t>& sizes) {
  std::vector<std::string> numbers;
  for (const uint32_t size : sizes) numbers.push_back(Number(size));
  return Tuple(numbers);
}

std::string TensorPickle(const Parts& parts) {
  const std::string storage = Tuple({Text("storage"), Name("torch", parts.type), Text(parts.key),
                                     Text("cpu"), Number(parts.elements), "N"}) +
                              "Q";
  return parts.function +
         Tuple({storage, Number(parts.offset), Sizes(parts.shape), Sizes(parts.strides), kFalse,
                parts.hooks}) +
         "R";
}

std::string Dictionary(const std::string& items) { return "}(" + items + "u"; }

// A whole file: the pickle of the tensors, the storage keys, and the storages as they are stored.
std::string FileOf(const std::string& tensors, const std::vector<std::string>& keys,
                   const std::string& storages) {
  const std::string magic = std::string("\x8a\x0a") + "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  std::string list = "](";
  for (const std::string& key : keys) list += Text(key);
  return Pickle(magic) + Pickle("M" + LittleEndian(1001, 2)) +
         Pickle(Dictionary(Text("little_endian") + "\x88")) + Pickle(tensors) + Pickle(list + "e") +
         storages;
}

std::string Storage(uint64_t elements, const std::string& content) {
  return LittleEndian(elements, 8) + content;
}

std::string Floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

const std::string kSixFloats = Floats({1, 2, 3, 4, 5, 6});

// A file with one tensor "w".
std::string FileWith(const Parts& parts) {
  return FileOf(Dictionary(Text("w") + TensorPickle(parts)), {parts.key},
                Storage(parts.elements, kSixFloats));
}

class StateDictToSafetensorsTest : public ::testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string output;
  };

  Outcome Convert(const std::string& content) {
    const std::string from = folder_.Write("model.pth", content);
    const std::string command =
        absl::StrCat("python3 ", PALATE_SOURCE_DIR, "/scripts/state_dict_to_safetensors.py ", from,
                     " ", folder_.file("model.safetensors"), " 2>&1");
    Outcome outcome;
    FILE* const pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (const size_t read = std::fread(buffer.data(), 1, buffer.size(), pipe))
      outcome.output.append(buffer.data(), read);
    const int status = ::pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }

  // The converted tensors.
  std::map<std::string, models::TensorEntry> Converted(const std::string& content) {
    const Outcome outcome = Convert(content);
    EXPECT_EQ(outcome.code, 0) << outcome.output;
    const auto file = models::SafetensorsFile::Open(folder_.file("model.safetensors"));
    EXPECT_TRUE(file.ok()) << file.status();
    if (!file.ok()) return {};
    file_ = file->file();
    return file->tensors();
  }

  void ExpectRefused(const std::string& content, const std::string& reason) {
    const Outcome outcome = Convert(content);
    EXPECT_EQ(outcome.code, 1) << reason;
    EXPECT_THAT(outcome.output, AllOf(HasSubstr("model.pth: refused: "), HasSubstr(reason),
                                      Not(HasSubstr("Traceback"))));
    EXPECT_FALSE(std::filesystem::exists(folder_.file("model.safetensors"))) << reason;
  }

  const TempFolder folder_;
  std::shared_ptr<const models::MappedFile> file_;
};

TEST_F(StateDictToSafetensorsTest, KeepsNamesTypesShapesAndValues) {
  const Parts count{.type = "LongStorage", .key = "8", .elements = 1, .shape = {}, .strides = {}};
  const auto tensors =
      Converted(FileOf(Dictionary(Text("w") + TensorPickle({}) + Text("n") + TensorPickle(count)),
                       {"7", "8"}, Storage(6, kSixFloats) + Storage(1, LittleEndian(99, 8))));

  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("w").type, models::TensorType::kF32);
  EXPECT_EQ(tensors.at("w").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors.at("w").data, kSixFloats);
  EXPECT_EQ(tensors.at("n").type, models::TensorType::kI64);
  EXPECT_EQ(tensors.at("n").data, LittleEndian(99, 8));
}

TEST_F(StateDictToSafetensorsTest, PutsTransposedElementsInOrder) {
  const auto matrix = Converted(FileWith({.shape = {3, 2}, .strides = {1, 3}}));
  ASSERT_EQ(matrix.count("w"), 1u);
  EXPECT_EQ(matrix.at("w").data, Floats({1, 4, 2, 5, 3, 6}));

  // The layout of weights from TensorFlow.
  const auto kernel = Converted(FileWith({.shape = {2, 3, 1, 1}, .strides = {1, 2, 6, 6}}));
  ASSERT_EQ(kernel.count("w"), 1u);
  EXPECT_EQ(kernel.at("w").data, Floats({1, 3, 5, 2, 4, 6}));
}

TEST_F(StateDictToSafetensorsTest, CallOfAnotherFunctionIsRefusedAndNotMade) {
  const std::string trace = folder_.file("trace");
  const std::string command = Text("touch " + trace);
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{
           {"os", "system"}, {"posix", "system"}, {"builtins", "eval"}, {"torch", "load"}}) {
    const std::string call = Name(module, name) + Tuple({command}) + "R";
    ExpectRefused(FileOf(Dictionary(Text("w") + call), {}, ""), "the name '" + module + " " + name);
    // In the pickles that only describe the file, too.
    ExpectRefused(Pickle(call), "the name '" + module + " " + name);
    ExpectRefused(FileWith({.hooks = call}), "the name '" + module + " " + name);
    ExpectRefused(FileWith({.function = Name(module, name)}), "the name '" + module + " " + name);
  }
  EXPECT_FALSE(std::filesystem::exists(trace));
}

TEST_F(StateDictToSafetensorsTest, OperationThatNoStateDictNeedsIsRefused) {
  const std::string touch = Text("touch " + folder_.file("trace"));
  const std::vector<std::pair<std::string, std::string>> operations = {
      {Text("os") + Text("system") + "\x93" + Tuple({touch}) + "R", "STACK_GLOBAL"},
      {"(S'touch x'\nios\nsystem\n", "STRING"},
      {"(ios\nsystem\n", "INST"},
      {"(" + Name("collections", "OrderedDict") + "o", "OBJ"},
      {Name("collections", "OrderedDict") + ")\x81", "NEWOBJ"},
      {"\x82\x01", "EXT1"},
      {"Pkey\n", "PERSID"},
      {"}2", "DUP"}};
  for (const auto& [operation, name] : operations)
    ExpectRefused(FileOf(operation, {}, ""), "the pickle operation " + name);
}

TEST_F(StateDictToSafetensorsTest, AllowedNameIsNotCalledWithOtherArguments) {
  ExpectRefused(FileOf(Name("collections", "OrderedDict") + Tuple({"]"}) + "R", {}, ""),
                "a call of 'collections OrderedDict'");
  ExpectRefused(FileOf(Name("torch", "FloatStorage") + ")R", {}, ""),
                "a call of 'torch FloatStorage'");
  ExpectRefused(FileWith({.hooks = Dictionary(Text("0") + "N")}), "a tensor with hooks");
  // Attributes that would replace methods.
  ExpectRefused(FileOf("}" + Dictionary(Text("__class__") + "N") + "b", {}, ""),
                "an object with unexpected attributes");
}

TEST_F(StateDictToSafetensorsTest, TensorThatDoesNotFillItsStorageIsRefused) {
  ExpectRefused(FileWith({.shape = {2, 4}, .strides = {4, 1}}), "another size than its storage");
  ExpectRefused(FileWith({.shape = {2, 2}, .strides = {2, 1}}), "another size than its storage");
  ExpectRefused(FileWith({.offset = 1}), "does not begin at");
  ExpectRefused(FileWith({.strides = {3, 2}}), "repeats or skips elements");
  ExpectRefused(FileWith({.strides = {0, 0}}), "repeats or skips elements");
  ExpectRefused(FileWith({.shape = {6}}), "another size than its storage");
  ExpectRefused(FileWith({.elements = 0, .shape = {1u << 31, 0}}),
                "a tensor with unexpected sizes");
  ExpectRefused(FileWith({.elements = 0, .shape = {1u << 30, 0}}), "another size than its storage");
  ExpectRefused(FileWith({.shape = std::vector<uint32_t>(9, 1)}), "unexpected sizes");
  ExpectRefused(FileWith({.type = "HalfStorage"}), "the name 'torch HalfStorage'");
}

TEST_F(StateDictToSafetensorsTest, StorageThatTensorsShareIsRefused) {
  const std::string shared =
      Dictionary(Text("a") + TensorPickle({}) + Text("b") + TensorPickle({}));
  ExpectRefused(FileOf(shared, {"7"}, Storage(6, kSixFloats)),
                "'b', which shares its storage with another tensor");
}

TEST_F(StateDictToSafetensorsTest, NameThatIsNotPlainOrTwiceIsRefused) {
  const auto named = [](const std::string& name) {
    return FileOf(Dictionary(Text(name) + TensorPickle({})), {"7"}, Storage(6, kSixFloats));
  };
  ExpectRefused(named("__metadata__"), "a tensor of the name '__metadata__'");
  ExpectRefused(named("w\xc3\xa9"), "a tensor of the name");
  ExpectRefused(FileOf(Dictionary(Text("w") + TensorPickle({}) + Text("w") + TensorPickle({})),
                       {"7"}, Storage(6, kSixFloats)),
                "the key 'w' twice");
  ExpectRefused(FileOf(Dictionary(Text("w") + Number(1)), {}, ""), "'w', which is no tensor");
}

TEST_F(StateDictToSafetensorsTest, StoragesMustBeThoseOfTheTensors) {
  const std::string tensors = Dictionary(Text("w") + TensorPickle({}));
  ExpectRefused(FileOf(tensors, {"9"}, Storage(6, kSixFloats)), "other storages than");
  ExpectRefused(FileOf(tensors, {"7", "7"}, Storage(6, kSixFloats)), "other storages than");
  ExpectRefused(FileOf(tensors, {"7"}, Storage(5, kSixFloats)), "another size than declared");
  ExpectRefused(FileOf(tensors, {"7"}, Storage(6, kSixFloats) + "x"), "bytes behind the last");
}

TEST_F(StateDictToSafetensorsTest, EveryTruncationIsRefused) {
  const std::string whole = FileWith({});
  for (size_t size = 0; size < whole.size(); size += 13) {
    const Outcome outcome = Convert(whole.substr(0, size));
    EXPECT_EQ(outcome.code, 1) << size;
    EXPECT_THAT(outcome.output, AllOf(HasSubstr("refused"), Not(HasSubstr("Traceback")))) << size;
  }
}

TEST_F(StateDictToSafetensorsTest, FileOfAnotherKindIsRefused) {
  ExpectRefused("", "");
  ExpectRefused("PK\x03\x04 the archive of a newer PyTorch", "");
  ExpectRefused(Pickle("N"), "no state dict of PyTorch before 1.6");
  ExpectRefused("\x80\x04N.", "pickle protocol 4");
  EXPECT_THAT(Convert(FileOf("}", {}, "")).output, HasSubstr("no dictionary of tensors"));
}

}  // namespace
}  // namespace palate

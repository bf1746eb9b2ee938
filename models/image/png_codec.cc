#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "models/image/codecs.h"

namespace palate::models {
namespace {

constexpr size_t kHeaderBytes = 33;  // signature and the IHDR chunk

uint32_t BigEndian32(absl::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The state that libpng's callbacks access.
struct ReadState {
  absl::string_view rest;
  bool ended_early = false;
  char message[160] = "";
};

void OnRead(png_structp png, png_bytep out, size_t size) {
  auto* state = static_cast<ReadState*>(png_get_io_ptr(png));
  if (size > state->rest.size()) {
    state->ended_early = true;
    png_error(png, "the file ends early");
  }
  std::memcpy(out, state->rest.data(), size);
  state->rest.remove_prefix(size);
}

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  auto* state = static_cast<ReadState*>(png_get_error_ptr(png));
  std::strncpy(state->message, message, sizeof(state->message) - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

// Owns libpng's two structures.
struct Reader {
  explicit Reader(ReadState& state) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, OnError, OnWarning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  png_structp png = nullptr;
  png_infop info = nullptr;
};

// Reads up to the pixels and requests 8-bit RGB, with alpha if the image has transparency. Creates
// no C++ object after setjmp.
bool ReadInfo(Reader& reader, ReadState& state, bool& has_alpha) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &state, OnRead);
  png_read_info(reader.png, reader.info);

  has_alpha = (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_ALPHA) != 0 ||
              png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;

  png_set_strip_16(reader.png);
  png_set_expand(reader.png);
  png_set_gray_to_rgb(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

// Whether the last row of the last pass was read.
bool HasAllRows(const Reader& reader) {
  constexpr int kPasses = 7;
  if (png_get_interlace_type(reader.png, reader.info) != PNG_INTERLACE_NONE)
    return png_get_current_pass_number(reader.png) >= kPasses;
  return png_get_current_row_number(reader.png) >= png_get_image_height(reader.png, reader.info);
}

// Behind the last row it also reads the checksum of the pixels. If only that is missing, every
// pixel is there nevertheless.
bool ReadRows(Reader& reader, const ReadState& state, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return state.ended_early && HasAllRows(reader);
  png_read_image(reader.png, rows);
  return true;
}

// Reads what follows the pixels. Many files lack the end chunk, and have all pixels nevertheless.
bool ReadEnd(Reader& reader, const ReadState& state) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return state.ended_early;
  png_read_end(reader.png, nullptr);
  return true;
}

absl::Status Corrupt(const ReadState& state) {
  return absl::InvalidArgumentError(absl::StrCat("is a corrupt or truncated PNG: ", state.message));
}

}  // namespace

absl::StatusOr<ImageHeader> ReadPngHeader(absl::string_view encoded) {
  if (encoded.size() < kHeaderBytes || encoded.substr(12, 4) != "IHDR") {
    return absl::InvalidArgumentError("is a corrupt or truncated PNG: it has no header");
  }
  return ImageHeader{.format = ImageFormat::kPng,
                     .width = BigEndian32(encoded, 16),
                     .height = BigEndian32(encoded, 20)};
}

absl::StatusOr<Image> DecodePng(absl::string_view encoded, const ImageHeader& header) {
  ReadState state{.rest = encoded};
  Reader reader(state);
  if (reader.info == nullptr) return absl::ResourceExhaustedError("out of memory for a PNG reader");

  bool has_alpha = false;
  if (!ReadInfo(reader, state, has_alpha)) return Corrupt(state);

  const size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  if (row_bytes != static_cast<size_t>(header.width) * (has_alpha ? 4 : 3))
    return absl::InternalError("unexpected PNG row size");

  std::vector<uint8_t> pixels(row_bytes * static_cast<size_t>(header.height));
  std::vector<png_bytep> rows;
  rows.reserve(static_cast<size_t>(header.height));
  for (int64_t y = 0; y < header.height; ++y)
    rows.push_back(pixels.data() + static_cast<size_t>(y) * row_bytes);

  if (!ReadRows(reader, state, rows.data())) return Corrupt(state);
  if (!state.ended_early && !ReadEnd(reader, state)) return Corrupt(state);
  if (has_alpha) return CompositeOnWhite(pixels, header.width, header.height);
  return Image{.width = header.width, .height = header.height, .rgb = std::move(pixels)};
}

absl::StatusOr<std::string> EncodePng(const Image& image) {
  png_image description = {};
  description.version = PNG_IMAGE_VERSION;
  description.width = static_cast<png_uint_32>(image.width);
  description.height = static_cast<png_uint_32>(image.height);
  description.format = PNG_FORMAT_RGB;

  png_alloc_size_t size = 0;
  if (png_image_write_to_memory(&description, nullptr, &size, 0, image.rgb.data(), 0, nullptr) ==
      0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot encode a PNG: ", description.message));
  }

  std::string encoded(size, '\0');
  if (png_image_write_to_memory(&description, encoded.data(), &size, 0, image.rgb.data(), 0,
                                nullptr) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot encode a PNG: ", description.message));
  }
  encoded.resize(size);
  return encoded;
}

}  // namespace palate::models

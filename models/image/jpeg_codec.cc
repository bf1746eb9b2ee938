#include <csetjmp>
#include <cstdio>
// jpeglib.h requires the types of cstdio.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "models/image/codecs.h"

namespace palate::models {
namespace {

// A progressive file can contain any number of scans, each as expensive as decoding the image; real
// files have about ten.
constexpr int kMaxScans = 100;

// libjpeg reports fatal errors through a callback that must not return.
struct ErrorHandler {
  jpeg_error_mgr manager;  // first, so that a pointer to it is a pointer to the handler
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void OnError(j_common_ptr common) {
  auto* handler = reinterpret_cast<ErrorHandler*>(common->err);
  common->err->format_message(common, handler->message);
  std::longjmp(handler->escape, 1);
}

void OnMessage(j_common_ptr common, int level) {
  // At a premature end of the data libjpeg only warns, and fills the rest with gray.
  if (level < 0 && common->err->msg_code == JWRN_JPEG_EOF) OnError(common);
}

void OnProgress(j_common_ptr common) {
  const auto* decompress = reinterpret_cast<j_decompress_ptr>(common);
  if (decompress->input_scan_number > kMaxScans) ERREXIT(common, JERR_BAD_PROGRESSION);
}

// One decompressor with its handlers. The functions below set the jump target before each use.
// Between setjmp and the library call they create no C++ object that has a destructor.
struct Decompressor {
  Decompressor() {
    decompress.err = jpeg_std_error(&handler.manager);
    handler.manager.error_exit = OnError;
    handler.manager.emit_message = OnMessage;
    handler.message[0] = '\0';
    progress.progress_monitor = OnProgress;
  }
  ~Decompressor() { jpeg_destroy_decompress(&decompress); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  absl::Status Error() const {
    return absl::InvalidArgumentError(
        absl::StrCat("is a corrupt or truncated JPEG: ", handler.message));
  }

  ErrorHandler handler = {};
  jpeg_progress_mgr progress = {};
  jpeg_decompress_struct decompress = {};
};

bool ReadHeader(Decompressor& decoder, absl::string_view encoded) {
  if (setjmp(decoder.handler.escape) != 0) return false;
  jpeg_create_decompress(&decoder.decompress);
  decoder.decompress.progress = &decoder.progress;
  jpeg_mem_src(&decoder.decompress, reinterpret_cast<const unsigned char*>(encoded.data()),
               encoded.size());
  jpeg_read_header(&decoder.decompress, TRUE);
  return true;
}

bool IsCmyk(const jpeg_decompress_struct& decompress) {
  return decompress.jpeg_color_space == JCS_CMYK || decompress.jpeg_color_space == JCS_YCCK;
}

// `pixels` holds width * height * components bytes.
bool ReadPixels(Decompressor& decoder, uint8_t* pixels, size_t row_bytes) {
  if (setjmp(decoder.handler.escape) != 0) return false;
  jpeg_decompress_struct& decompress = decoder.decompress;
  jpeg_start_decompress(&decompress);

  while (decompress.output_scanline < decompress.output_height) {
    JSAMPROW row = pixels + row_bytes * decompress.output_scanline;
    jpeg_read_scanlines(&decompress, &row, 1);
  }

  jpeg_finish_decompress(&decompress);
  return true;
}

// CMYK files store inverted ink values, with Adobe's marker or without: readers agree on that,
// although the format does not.
std::vector<uint8_t> CmykToRgb(const std::vector<uint8_t>& cmyk) {
  std::vector<uint8_t> rgb(cmyk.size() / 4 * 3);
  for (size_t i = 0; i < cmyk.size() / 4; ++i) {
    const uint8_t* in = cmyk.data() + 4 * i;
    const int light = in[3];
    for (size_t c = 0; c < 3; ++c) {
      const int ink = 255 - in[c];
      rgb[3 * i + c] = static_cast<uint8_t>(std::clamp(light - (ink * light + 127) / 255, 0, 255));
    }
  }
  return rgb;
}

}  // namespace

absl::StatusOr<ImageHeader> ReadJpegHeader(absl::string_view encoded) {
  Decompressor decoder;
  if (!ReadHeader(decoder, encoded)) return decoder.Error();
  return ImageHeader{.format = ImageFormat::kJpeg,
                     .width = static_cast<int64_t>(decoder.decompress.image_width),
                     .height = static_cast<int64_t>(decoder.decompress.image_height)};
}

absl::StatusOr<Image> DecodeJpeg(absl::string_view encoded, const ImageHeader& header) {
  Decompressor decoder;
  if (!ReadHeader(decoder, encoded)) return decoder.Error();

  const bool cmyk = IsCmyk(decoder.decompress);
  decoder.decompress.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  const size_t row_bytes = static_cast<size_t>(header.width) * (cmyk ? 4 : 3);
  std::vector<uint8_t> pixels(row_bytes * static_cast<size_t>(header.height));

  if (!ReadPixels(decoder, pixels.data(), row_bytes)) return decoder.Error();
  if (cmyk) pixels = CmykToRgb(pixels);
  return Image{.width = header.width, .height = header.height, .rgb = std::move(pixels)};
}

}  // namespace palate::models

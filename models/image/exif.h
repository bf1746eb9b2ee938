// Finds the EXIF orientation of an encoded image. Internal to models/image; tolerates anything,
// since metadata never makes a picture bad.
#pragma once

#include "absl/strings/string_view.h"
#include "models/image/image.h"

namespace palate::models {

// 1 (upright) to 8, as EXIF numbers them; 1 when the image says nothing or something invalid.
// `encoded` is a whole file of `format`.
int ReadExifOrientation(absl::string_view encoded, ImageFormat format);

// The upright image for one stored with `orientation`.
Image ApplyOrientation(Image image, int orientation);

}  // namespace palate::models

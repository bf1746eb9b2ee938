// Finds the EXIF orientation of an encoded image. Internal to models/image. Accepts any input,
// because bad metadata must not make an image unusable.
#pragma once

#include "absl/strings/string_view.h"
#include "models/image/image.h"

namespace palate::models {

// The EXIF orientation, or that of XMP where EXIF has none: 1 (upright) to 8; 1 when the image has
// none or an invalid one. As Pillow reads it: the value may have any integer type. `encoded` is a
// whole file of `format`.
int ReadExifOrientation(absl::string_view encoded, ImageFormat format);

// Turns an image that is stored with `orientation` upright.
Image ApplyOrientation(Image image, int orientation);

}  // namespace palate::models

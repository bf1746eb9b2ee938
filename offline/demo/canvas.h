// A drawing surface for product pictures: outlines filled with materials, patterns and light. Built
// on cairo.
//
// Coordinates run from 0 to 100 in both directions, y downwards, at every pixel size. Not
// thread-safe: use each canvas from one thread. A canvas owns its pixels. Drawing functions return
// no errors: cairo stores the first one, and status() returns it.
#pragma once

#include <cairo.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "offline/demo/random.h"

namespace palate::demo {

struct Rgb {
  double r = 0, g = 0, b = 0;  // [0, 1]
  static Rgb FromHex(unsigned rgb);
};

Rgb Mix(const Rgb& a, const Rgb& b, double share_of_b);
Rgb Lighter(const Rgb& color, double share);
Rgb Darker(const Rgb& color, double share);
double Luminance(const Rgb& color);  // 0 black to 1 white

// What a surface looks as if it is made of.
enum class Texture {
  kSmooth,
  kWood,
  kMetal,
  kWeave,
  kKnit,
  kTwill,
  kVelvet,
  kFelt,
  kLeather,
  kSuede,
  kGloss,
  kSpeckle,
  kEarth,
  kConcrete,
  kGlass,
  kBasket,
  kRope
};

struct Surface {
  Rgb color;
  Texture texture = Texture::kSmooth;
  std::string pattern = "plain";  // a word of Patterns()
  Rgb pattern_color;
};

// The shape that the shading suggests. Light comes from the upper left.
enum class Form { kFlat, kCylinder, kBall };

class Canvas {
 public:
  // `size` is the width and height in pixels, clamped to 16 to 2048.
  Canvas(int size, Random random);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  Random& random() { return random_; }
  absl::Status status() const;

  // A lit studio backdrop: a wall of `color` and a floor of nearly the same color. `horizon` is the
  // height where they meet, from 0 (top) to 1 (bottom); above 1 there is no floor.
  void Backdrop(const Rgb& color, double horizon);
  // The soft shadow that an object casts on the floor around (x, y).
  void GroundShadow(double x, double y, double radius_x, double radius_y);
  // The soft shadow of a flat object with the outline `path`.
  void DropShadow(absl::string_view path, double dx = 1.2, double dy = 2.2);

  // Everything between Push and Pop is rotated around the center, scaled, mirrored and moved.
  void Push(double degrees, double scale, bool mirrored, double dx, double dy);
  void Pop();

  // Outlines: "M x y L x y C x1 y1 x2 y2 x y Z", absolute and separated by spaces (the SVG letters
  // M, L, C, Q and Z).
  void Fill(absl::string_view path, const Surface& surface, Form form);
  void FillEllipse(double x, double y, double rx, double ry, const Surface& surface, Form form);
  void FillRect(double x, double y, double width, double height, double radius,
                const Surface& surface, Form form);
  // A shaded bar along `path`, for handles, legs and straps.
  void Bar(absl::string_view path, double width, const Surface& surface);
  // Strokes and fills of one color without shading, for details.
  void Line(absl::string_view path, double width, const Rgb& color, double alpha = 1);
  void Dashes(absl::string_view path, double width, const Rgb& color, double dash,
              double alpha = 1);
  void Flat(absl::string_view path, const Rgb& color, double alpha = 1);
  void FlatEllipse(double x, double y, double rx, double ry, const Rgb& color, double alpha = 1);
  void RingEllipse(double x, double y, double rx, double ry, double width, const Rgb& color,
                   double alpha = 1);
  // Light around a point that fades to nothing at `radius`.
  void Glow(double x, double y, double radius, const Rgb& color, double alpha);

  // Copies the pixels out: [size, size, 3], rows from the top.
  std::vector<uint8_t> Pixels();

 private:
  void AddPath(absl::string_view path);
  void FillCurrentPath(const Surface& surface, Form form);

  int size_;
  Random random_;
  cairo_surface_t* pixels_;
  cairo_t* cr_;
};

}  // namespace palate::demo

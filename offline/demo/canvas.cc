#include "offline/demo/canvas.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "offline/demo/canvas_paint.h"

namespace palate::demo {
namespace {

void AddEllipse(cairo_t* cr, double x, double y, double rx, double ry) {
  cairo_save(cr);
  cairo_translate(cr, x, y);
  cairo_scale(cr, rx, ry);
  cairo_new_sub_path(cr);
  cairo_arc(cr, 0, 0, 1, 0, 2 * std::numbers::pi);
  cairo_close_path(cr);
  cairo_restore(cr);
}

void AddRoundedRect(cairo_t* cr, double x, double y, double width, double height, double radius) {
  const double r = std::min({radius, width / 2, height / 2});
  cairo_new_sub_path(cr);
  cairo_arc(cr, x + width - r, y + r, r, -std::numbers::pi / 2, 0);
  cairo_arc(cr, x + width - r, y + height - r, r, 0, std::numbers::pi / 2);
  cairo_arc(cr, x + r, y + height - r, r, std::numbers::pi / 2, std::numbers::pi);
  cairo_arc(cr, x + r, y + r, r, std::numbers::pi, 3 * std::numbers::pi / 2);
  cairo_close_path(cr);
}

int NumbersOf(char command) {
  switch (command) {
    case 'M':
    case 'L':
      return 2;
    case 'Q':
      return 4;
    case 'C':
      return 6;
    default:
      return 0;
  }
}

void AddCommand(cairo_t* cr, char command, const double* n) {
  switch (command) {
    case 'M':
      cairo_move_to(cr, n[0], n[1]);
      break;
    case 'L':
      cairo_line_to(cr, n[0], n[1]);
      break;
    case 'C':
      cairo_curve_to(cr, n[0], n[1], n[2], n[3], n[4], n[5]);
      break;
    case 'Q': {
      double x = 0, y = 0;
      cairo_get_current_point(cr, &x, &y);

      cairo_curve_to(cr, x + (n[0] - x) * 2 / 3, y + (n[1] - y) * 2 / 3,
                     n[2] + (n[0] - n[2]) * 2 / 3, n[3] + (n[1] - n[3]) * 2 / 3, n[2], n[3]);
      break;
    }
    default:
      cairo_close_path(cr);
  }
}

}  // namespace

Rgb Rgb::FromHex(unsigned rgb) {
  return {((rgb >> 16) & 255) / 255.0, ((rgb >> 8) & 255) / 255.0, (rgb & 255) / 255.0};
}

Rgb Mix(const Rgb& a, const Rgb& b, double t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
Rgb Lighter(const Rgb& color, double share) { return Mix(color, {1, 1, 1}, share); }
Rgb Darker(const Rgb& color, double share) { return Mix(color, {0.05, 0.04, 0.06}, share); }
double Luminance(const Rgb& color) { return 0.299 * color.r + 0.587 * color.g + 0.114 * color.b; }

Canvas::Canvas(int size, Random random)
    : size_(std::clamp(size, 16, 2048)),
      random_(random),
      pixels_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, size_, size_)),
      cr_(cairo_create(pixels_)) {
  cairo_scale(cr_, size_ / 100.0, size_ / 100.0);
  cairo_set_line_cap(cr_, CAIRO_LINE_CAP_ROUND);
  cairo_set_line_join(cr_, CAIRO_LINE_JOIN_ROUND);
}

Canvas::~Canvas() {
  cairo_destroy(cr_);
  cairo_surface_destroy(pixels_);
}

absl::Status Canvas::status() const {
  const cairo_status_t status = cairo_status(cr_);
  if (status == CAIRO_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cairo: ", cairo_status_to_string(status)));
}

void Canvas::Backdrop(const Rgb& color, double horizon) {
  cairo_pattern_t* wall = cairo_pattern_create_linear(0, 0, 0, 100);

  const auto stop = [&](double at, const Rgb& c) {
    cairo_pattern_add_color_stop_rgb(wall, at, c.r, c.g, c.b);
  };

  stop(0, Lighter(color, 0.18));
  stop(horizon - 0.06, color);
  stop(horizon + 0.03, Darker(color, 0.07));
  stop(1, Lighter(color, 0.10));

  cairo_set_source(cr_, wall);
  cairo_paint(cr_);
  cairo_pattern_destroy(wall);
  Glow(36, 28, 70, {1, 1, 1}, 0.30);
}

void Canvas::GroundShadow(double x, double y, double radius_x, double radius_y) {
  cairo_save(cr_);
  cairo_translate(cr_, x + 2.5, y);
  cairo_scale(cr_, radius_x * 1.2, radius_y * 1.3);

  cairo_pattern_t* shade = cairo_pattern_create_radial(0, 0, 0, 0, 0, 1);
  cairo_pattern_add_color_stop_rgba(shade, 0, 0.07, 0.06, 0.10, 0.50);
  cairo_pattern_add_color_stop_rgba(shade, 0.55, 0.07, 0.06, 0.10, 0.28);
  cairo_pattern_add_color_stop_rgba(shade, 1, 0.07, 0.06, 0.10, 0);

  cairo_set_source(cr_, shade);
  cairo_arc(cr_, 0, 0, 1, 0, 2 * std::numbers::pi);
  cairo_fill(cr_);
  cairo_pattern_destroy(shade);
  cairo_restore(cr_);
}

void Canvas::DropShadow(absl::string_view path, double dx, double dy) {
  cairo_save(cr_);
  cairo_translate(cr_, dx, dy);
  // Strokes of growing width on top of each other approximate a blurred edge.
  for (int step = 0; step < 7; ++step) {
    AddPath(path);
    SetColor(cr_, {0.07, 0.06, 0.10}, 0.045);
    cairo_set_line_width(cr_, 0.5 + step * 1.15);
    cairo_stroke_preserve(cr_);
    cairo_fill(cr_);
  }

  cairo_restore(cr_);
}

void Canvas::Push(double degrees, double scale, bool mirrored, double dx, double dy) {
  cairo_save(cr_);
  cairo_translate(cr_, 50 + dx, 50 + dy);
  cairo_rotate(cr_, degrees * std::numbers::pi / 180);
  cairo_scale(cr_, mirrored ? -scale : scale, scale);
  cairo_translate(cr_, -50, -50);
}

void Canvas::Pop() { cairo_restore(cr_); }

void Canvas::AddPath(absl::string_view path) {
  char command = 'Z';
  double numbers[6];
  int have = 0;

  for (const absl::string_view token : absl::StrSplit(path, ' ', absl::SkipEmpty())) {
    if (token.size() == 1 && token[0] >= 'A' && token[0] <= 'Z') {
      command = token[0];
      have = 0;
      if (command == 'Z') AddCommand(cr_, command, numbers);
      continue;
    }
    if (NumbersOf(command) == 0 || !absl::SimpleAtod(token, &numbers[have])) continue;
    if (++have == NumbersOf(command)) {
      AddCommand(cr_, command, numbers);
      have = 0;
    }
  }
}

void Canvas::FillCurrentPath(const Surface& surface, Form form) {
  cairo_path_t* outline = cairo_copy_path(cr_);
  PaintBox box{};
  cairo_path_extents(cr_, &box.x0, &box.y0, &box.x1, &box.y1);

  cairo_save(cr_);
  cairo_clip(cr_);

  SetColor(cr_, surface.color, surface.texture == Texture::kGlass ? 0.55 : 1);
  cairo_paint(cr_);
  PaintPattern(cr_, box, surface, random_);
  PaintTexture(cr_, box, surface, random_);
  PaintLight(cr_, box, surface, form);

  cairo_restore(cr_);
  cairo_new_path(cr_);
  cairo_append_path(cr_, outline);
  cairo_path_destroy(outline);

  cairo_set_line_width(cr_, 0.45);
  SetColor(cr_, Darker(surface.color, 0.55), 0.5);
  cairo_stroke(cr_);
}

void Canvas::Fill(absl::string_view path, const Surface& surface, Form form) {
  AddPath(path);
  FillCurrentPath(surface, form);
}

void Canvas::FillEllipse(double x, double y, double rx, double ry, const Surface& surface,
                         Form form) {
  AddEllipse(cr_, x, y, rx, ry);
  FillCurrentPath(surface, form);
}

void Canvas::FillRect(double x, double y, double width, double height, double radius,
                      const Surface& surface, Form form) {
  AddRoundedRect(cr_, x, y, width, height, radius);
  FillCurrentPath(surface, form);
}

void Canvas::Bar(absl::string_view path, double width, const Surface& surface) {
  // Dark edge, body, and a light line on the upper left side.
  Line(path, width + 0.5, Darker(surface.color, 0.45));
  Line(path, width, surface.color);

  cairo_save(cr_);
  cairo_translate(cr_, width * 0.13, width * 0.13);
  Line(path, width * 0.55, Darker(surface.color, 0.25), 0.45);
  cairo_translate(cr_, -width * 0.36, -width * 0.34);
  const bool shines = surface.texture == Texture::kMetal || surface.texture == Texture::kGloss ||
                      surface.texture == Texture::kGlass;
  Line(path, width * 0.22, Lighter(surface.color, 0.7), shines ? 0.8 : 0.35);
  cairo_restore(cr_);
}

void Canvas::Line(absl::string_view path, double width, const Rgb& color, double alpha) {
  AddPath(path);
  SetColor(cr_, color, alpha);
  cairo_set_line_width(cr_, width);
  cairo_stroke(cr_);
}

void Canvas::Dashes(absl::string_view path, double width, const Rgb& color, double dash,
                    double alpha) {
  cairo_set_dash(cr_, &dash, 1, 0);
  cairo_set_line_cap(cr_, CAIRO_LINE_CAP_BUTT);
  Line(path, width, color, alpha);
  cairo_set_line_cap(cr_, CAIRO_LINE_CAP_ROUND);
  cairo_set_dash(cr_, nullptr, 0, 0);
}

void Canvas::Flat(absl::string_view path, const Rgb& color, double alpha) {
  AddPath(path);
  SetColor(cr_, color, alpha);
  cairo_fill(cr_);
}

void Canvas::FlatEllipse(double x, double y, double rx, double ry, const Rgb& color, double alpha) {
  AddEllipse(cr_, x, y, rx, ry);
  SetColor(cr_, color, alpha);
  cairo_fill(cr_);
}

void Canvas::RingEllipse(double x, double y, double rx, double ry, double width, const Rgb& color,
                         double alpha) {
  AddEllipse(cr_, x, y, rx, ry);
  SetColor(cr_, color, alpha);
  cairo_set_line_width(cr_, width);
  cairo_stroke(cr_);
}

void Canvas::Glow(double x, double y, double radius, const Rgb& color, double alpha) {
  cairo_pattern_t* light = cairo_pattern_create_radial(x, y, 0, x, y, radius);
  cairo_pattern_add_color_stop_rgba(light, 0, color.r, color.g, color.b, alpha);
  cairo_pattern_add_color_stop_rgba(light, 1, color.r, color.g, color.b, 0);
  cairo_set_source(cr_, light);
  cairo_paint(cr_);
  cairo_pattern_destroy(light);
}

std::vector<uint8_t> Canvas::Pixels() {
  cairo_surface_flush(pixels_);
  const unsigned char* data = cairo_image_surface_get_data(pixels_);
  const int stride = cairo_image_surface_get_stride(pixels_);
  std::vector<uint8_t> rgb(static_cast<size_t>(size_) * size_ * 3);
  if (data == nullptr) return rgb;

  for (int y = 0; y < size_; ++y) {
    const auto* row = reinterpret_cast<const uint32_t*>(data + static_cast<size_t>(y) * stride);
    uint8_t* out = &rgb[static_cast<size_t>(y) * size_ * 3];
    for (int x = 0; x < size_; ++x) {
      out[3 * x] = (row[x] >> 16) & 255;
      out[3 * x + 1] = (row[x] >> 8) & 255;
      out[3 * x + 2] = row[x] & 255;
    }
  }
  return rgb;
}

}  // namespace palate::demo

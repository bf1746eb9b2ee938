#include "offline/demo/canvas_paint.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace palate::demo {
namespace {

constexpr Rgb kBlack{0.05, 0.04, 0.06};
constexpr Rgb kWhite{1, 1, 1};

void StrokeSegment(cairo_t* cr, double x0, double y0, double x1, double y1) {
  cairo_move_to(cr, x0, y0);
  cairo_line_to(cr, x1, y1);
  cairo_stroke(cr);
}

void Dot(cairo_t* cr, double x, double y, double radius) {
  cairo_arc(cr, x, y, radius, 0, 2 * std::numbers::pi);
  cairo_fill(cr);
}

// Parallel lines over the box, `spacing` apart. `angle` is in degrees; 0 is horizontal.
void Hatch(cairo_t* cr, const PaintBox& box, double angle, double spacing, double width) {
  const double reach = std::hypot(box.width(), box.height()) / 2 + spacing;
  cairo_save(cr);
  cairo_translate(cr, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2);
  cairo_rotate(cr, angle * std::numbers::pi / 180);
  cairo_set_line_width(cr, width);

  for (double y = -std::floor(reach / spacing) * spacing; y <= reach; y += spacing) {
    cairo_move_to(cr, -reach, y);
    cairo_line_to(cr, reach, y);
  }
  cairo_stroke(cr);
  cairo_restore(cr);
}

// Fills the clip with copies of a cell of `width` x `height` units that `draw` draws once. Both
// must be multiples of a quarter, so that the cell has whole pixels.
template <typename Draw>
void Tile(cairo_t* cr, double width, double height, const Draw& draw) {
  constexpr double kPixelsPerUnit = 4;
  cairo_surface_t* cell =
      cairo_image_surface_create(CAIRO_FORMAT_ARGB32, static_cast<int>(width * kPixelsPerUnit),
                                 static_cast<int>(height * kPixelsPerUnit));
  cairo_t* cell_cr = cairo_create(cell);
  cairo_scale(cell_cr, kPixelsPerUnit, kPixelsPerUnit);
  draw(cell_cr);
  cairo_destroy(cell_cr);

  cairo_pattern_t* pattern = cairo_pattern_create_for_surface(cell);
  cairo_pattern_set_extend(pattern, CAIRO_EXTEND_REPEAT);
  cairo_pattern_set_filter(pattern, CAIRO_FILTER_BILINEAR);

  cairo_matrix_t to_pixels;
  cairo_matrix_init_scale(&to_pixels, kPixelsPerUnit, kPixelsPerUnit);
  cairo_pattern_set_matrix(pattern, &to_pixels);

  cairo_set_source(cr, pattern);
  cairo_paint(cr);
  cairo_pattern_destroy(pattern);
  cairo_surface_destroy(cell);
}

// Random specks. Filling thousands of small circles one by one is slow, so we draw some into a
// small tile and repeat it.
void Specks(cairo_t* cr, Random& random, double per_area, double radius, const Rgb& color,
            double alpha) {
  constexpr int kTile = 30, kPixels = 3 * kTile;  // in units, and in pixels: three per unit
  cairo_surface_t* tile = cairo_image_surface_create(CAIRO_FORMAT_A8, kPixels, kPixels);

  unsigned char* data = cairo_image_surface_get_data(tile);
  const int stride = cairo_image_surface_get_stride(tile);
  const int count = static_cast<int>(kTile * kTile * per_area);

  for (int i = 0; data != nullptr && i < count; ++i) {
    const double x = random.Uniform() * kPixels, y = random.Uniform() * kPixels,
                 r = 3 * radius * random.Uniform(0.4, 1.3);
    for (int py = static_cast<int>(y - r) - 1; py <= y + r + 1; ++py) {
      for (int px = static_cast<int>(x - r) - 1; px <= x + r + 1; ++px) {
        const double cover = std::clamp(r + 0.5 - std::hypot(px + 0.5 - x, py + 0.5 - y), 0.0, 1.0);
        unsigned char& pixel = data[((py + kPixels) % kPixels) * stride + (px + kPixels) % kPixels];
        pixel = std::max<unsigned char>(pixel, static_cast<unsigned char>(255 * cover));
      }
    }
  }

  cairo_surface_mark_dirty(tile);
  cairo_pattern_t* pattern = cairo_pattern_create_for_surface(tile);
  cairo_pattern_set_extend(pattern, CAIRO_EXTEND_REPEAT);
  cairo_pattern_set_filter(pattern, CAIRO_FILTER_BILINEAR);
  cairo_matrix_t to_pixels;
  cairo_matrix_init_scale(&to_pixels, 3, 3);
  cairo_pattern_set_matrix(pattern, &to_pixels);

  SetColor(cr, color, alpha);
  cairo_mask(cr, pattern);
  cairo_pattern_destroy(pattern);
  cairo_surface_destroy(tile);
}

void PaintDots(cairo_t* cr, const PaintBox& box) {
  int row = 0;
  for (double y = box.y0 + 1.5; y < box.y1 + 3; y += 4.6, ++row) {
    for (double x = box.x0 + (row % 2 ? 3.9 : 1.2); x < box.x1 + 3; x += 5.4) Dot(cr, x, y, 1.35);
  }
}

void PaintFlowers(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random) {
  int row = 0;
  for (double y = box.y0 + 3; y < box.y1 + 5; y += 8, ++row) {
    for (double x = box.x0 + (row % 2 ? 7.5 : 2.5); x < box.x1 + 5; x += 10) {
      const double cx = x + random.Uniform(-0.8, 0.8), cy = y + random.Uniform(-0.8, 0.8),
                   turn = random.Uniform(0, std::numbers::pi);
      SetColor(cr, surface.pattern_color, 0.92);
      for (int petal = 0; petal < 5; ++petal) {
        const double angle = turn + petal * 2 * std::numbers::pi / 5;
        Dot(cr, cx + 1.7 * std::cos(angle), cy + 1.7 * std::sin(angle), 1.35);
      }
      SetColor(cr, Rgb::FromHex(0xE9B93A));
      Dot(cr, cx, cy, 0.95);
    }
  }
}

void PaintTriangles(cairo_t* cr, const PaintBox& box, const Surface& surface) {
  const double w = 8, h = 7;
  int row = 0;
  for (double y = box.y0 - 1; y < box.y1 + h; y += h, ++row) {
    int column = 0;
    for (double x = box.x0 - w; x < box.x1 + w; x += w, ++column) {
      const double shift = row % 2 ? w / 2 : 0;
      SetColor(cr, surface.pattern_color,
               (row + column) % 3 == 0   ? 0.95
               : (row + column) % 3 == 1 ? 0.5

                                         : 0.15);

      cairo_move_to(cr, x + shift, y + h);
      cairo_line_to(cr, x + shift + w / 2, y);
      cairo_line_to(cr, x + shift + w, y + h);
      cairo_close_path(cr);
      cairo_fill(cr);
    }
  }
}

void PaintZigzag(cairo_t* cr, const PaintBox& box) {
  cairo_set_line_width(cr, 1.05);
  for (double y = box.y0 - 4; y < box.y1 + 4; y += 2.7) {
    bool up = true;
    cairo_move_to(cr, box.x0 - 4, y);
    for (double x = box.x0; x < box.x1 + 8; x += 4, up = !up)
      cairo_line_to(cr, x, y + (up ? 3.2 : 0));
    cairo_stroke(cr);
  }
}

void PaintMarble(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random) {
  for (int i = 0; i < 16; ++i) {
    SetColor(cr, surface.pattern_color, random.Uniform(0.25, 0.75));
    cairo_set_line_width(cr, random.Uniform(0.35, 2.0));

    double x = box.x0 - 2, y = random.Uniform(box.y0 - 12, box.y1);
    cairo_move_to(cr, x, y);

    while (x < box.x1 + 4) {
      const double nx = x + random.Uniform(7, 14), ny = y + random.Uniform(-3, 8);
      cairo_curve_to(cr, x + 4, y + random.Uniform(-6, 6), nx - 4, ny + random.Uniform(-6, 6), nx,
                     ny);
      x = nx;
      y = ny;
    }
    cairo_stroke(cr);
  }
}

void PaintWood(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random) {
  const bool upright = box.height() > box.width() * 1.1;
  const double across = upright ? box.width() : box.height(),
               along = upright ? box.height() : box.width();

  cairo_save(cr);
  cairo_translate(cr, box.x0, box.y0);
  if (upright) {  // grain runs along the longer side
    cairo_rotate(cr, std::numbers::pi / 2);
    cairo_translate(cr, 0, -box.width());
  }

  const int lines = std::clamp(static_cast<int>(across / 1.3), 4, 42);
  for (int i = 0; i <= lines; ++i) {
    const double y = across * (i + random.Uniform(-0.4, 0.4)) / lines,
                 sway = random.Uniform(-1.2, 1.2);
    SetColor(cr, i % 3 == 0 ? Darker(surface.color, 0.5) : Darker(surface.color, 0.3),
             random.Uniform(0.25, 0.65));
    cairo_set_line_width(cr, random.Uniform(0.2, 0.75));
    cairo_move_to(cr, -1, y);
    cairo_curve_to(cr, along * 0.3, y + sway, along * 0.6, y - sway, along + 1, y + sway * 0.6);
    cairo_stroke(cr);
  }

  cairo_restore(cr);
}

void PaintKnit(cairo_t* cr, const Surface& surface) {
  Tile(cr, 2, 1.75, [&](cairo_t* cell) {
    cairo_set_line_width(cell, 0.5);
    SetColor(cell, kBlack, 0.24);
    for (const double y : {0.0, 1.75}) {
      cairo_move_to(cell, 0, y);
      cairo_line_to(cell, 1, y + 1);
      cairo_line_to(cell, 2, y);
    }
    cairo_stroke(cell);

    SetColor(cell, Lighter(surface.color, 0.5), 0.25);
    StrokeSegment(cell, 0, 0, 0, 1.75);
  });
}

void PaintBasket(cairo_t* cr, const Surface& surface) {
  constexpr double kCell = 3.25;
  Tile(cr, 2 * kCell, 2 * kCell, [&](cairo_t* cell) {
    for (int i = 0; i < 4; ++i) {
      const int column = i % 2, row = i / 2;
      const double x = column * kCell, y = row * kCell;
      const bool across = i == 0 || i == 3;
      SetColor(cell, across ? Lighter(surface.color, 0.16) : Darker(surface.color, 0.16));
      cairo_rectangle(cell, x, y, kCell, kCell);
      cairo_fill(cell);

      SetColor(cell, Darker(surface.color, 0.6), 0.55);
      cairo_set_line_width(cell, 0.32);
      for (double k = 0; k <= kCell; k += kCell / 3) {
        if (across)
          StrokeSegment(cell, x, y + k, x + kCell, y + k);
        else
          StrokeSegment(cell, x + k, y, x + k, y + kCell);
      }
    }
  });
}

void PaintRope(cairo_t* cr, const Surface& surface) {
  Tile(cr, 1.75, 3, [&](cairo_t* cell) {
    SetColor(cell, Darker(surface.color, 0.5), 0.6);
    cairo_set_line_width(cell, 0.5);
    StrokeSegment(cell, 0, 0.25, 1.75, 0.25);
    SetColor(cell, Darker(surface.color, 0.4), 0.5);
    cairo_set_line_width(cell, 0.4);
    StrokeSegment(cell, 0.1, 2.8, 1.6, 0.4);
  });
}

void LinearLight(cairo_t* cr, double x0, double y0, double x1, double y1,
                 std::initializer_list<std::pair<double, double>> stops) {
  cairo_pattern_t* light = cairo_pattern_create_linear(x0, y0, x1, y1);

  for (const auto& [at, amount] : stops) {  // positive lightens, negative darkens
    const Rgb& color = amount > 0 ? kWhite : kBlack;
    cairo_pattern_add_color_stop_rgba(light, at, color.r, color.g, color.b, std::abs(amount));
  }

  cairo_set_source(cr, light);
  cairo_paint(cr);
  cairo_pattern_destroy(light);
}

void BallLight(cairo_t* cr, const PaintBox& box, double strength) {
  const double radius = std::max(box.width(), box.height()) * 0.75;
  const double x = box.x0 + box.width() * 0.34, y = box.y0 + box.height() * 0.26;

  cairo_pattern_t* light = cairo_pattern_create_radial(x, y, radius * 0.04, x, y, radius);
  cairo_pattern_add_color_stop_rgba(light, 0, 1, 1, 1, 0.42 * strength);
  cairo_pattern_add_color_stop_rgba(light, 0.38, 1, 1, 1, 0);
  cairo_pattern_add_color_stop_rgba(light, 0.39, kBlack.r, kBlack.g, kBlack.b, 0);
  cairo_pattern_add_color_stop_rgba(light, 1, kBlack.r, kBlack.g, kBlack.b, 0.48 * strength);

  cairo_set_source(cr, light);
  cairo_paint(cr);
  cairo_pattern_destroy(light);
}

// The reflection of a window in a glossy surface.
void Reflection(cairo_t* cr, const PaintBox& box, double alpha) {
  if (box.width() < 9 || box.height() < 9) return;

  cairo_save(cr);
  cairo_translate(cr, box.x0 + box.width() * 0.25, box.y0 + box.height() * 0.40);
  cairo_scale(cr, box.width() * 0.045, box.height() * 0.24);
  cairo_arc(cr, 0, 0, 1, 0, 2 * std::numbers::pi);
  SetColor(cr, kWhite, alpha);
  cairo_fill(cr);
  cairo_restore(cr);
}

}  // namespace

void SetColor(cairo_t* cr, const Rgb& color, double alpha) {
  cairo_set_source_rgba(cr, color.r, color.g, color.b, alpha);
}

void PaintPattern(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random) {
  SetColor(cr, surface.pattern_color, 0.9);

  if (surface.pattern == "striped") {
    Hatch(cr, box, box.width() > box.height() * 1.6 ? 90 : 0, 6, 2.5);
  } else if (surface.pattern == "dotted") {
    PaintDots(cr, box);
  } else if (surface.pattern == "checked") {
    SetColor(cr, surface.pattern_color, 0.5);
    Hatch(cr, box, 0, 7, 3.4);
    Hatch(cr, box, 90, 7, 3.4);
  } else if (surface.pattern == "floral") {
    PaintFlowers(cr, box, surface, random);
  } else if (surface.pattern == "geometric") {
    PaintTriangles(cr, box, surface);
  } else if (surface.pattern == "herringbone") {
    PaintZigzag(cr, box);
  } else if (surface.pattern == "marbled") {
    PaintMarble(cr, box, surface, random);
  }
}

void PaintTexture(cairo_t* cr, const PaintBox& box, const Surface& surface, Random& random) {
  switch (surface.texture) {
    case Texture::kWood:
      PaintWood(cr, box, surface, random);
      break;
    case Texture::kWeave:
      Tile(cr, 1.25, 1.25, [](cairo_t* cell) {
        cairo_set_line_width(cell, 0.4);
        SetColor(cell, kBlack, 0.14);
        StrokeSegment(cell, 0, 0.6, 1.25, 0.6);
        StrokeSegment(cell, 0.6, 0, 0.6, 1.25);
      });
      break;
    case Texture::kTwill:
      SetColor(cr, kWhite, 0.20);
      Hatch(cr, box, -52, 1.1, 0.4);
      Specks(cr, random, 0.25, 0.3, kWhite, 0.16);
      break;
    case Texture::kKnit:
      PaintKnit(cr, surface);
      break;
    case Texture::kFelt:
      Specks(cr, random, 0.5, 0.42, kBlack, 0.10);
      Specks(cr, random, 0.5, 0.42, kWhite, 0.13);
      break;
    case Texture::kLeather:
      Specks(cr, random, 0.35, 0.8, kBlack, 0.07);
      Specks(cr, random, 0.15, 0.35, kWhite, 0.12);
      break;
    case Texture::kSuede:
      Specks(cr, random, 0.5, 0.6, kBlack, 0.07);
      break;
    case Texture::kSpeckle:
      Specks(cr, random, 0.12, 0.42, Rgb::FromHex(0x4A3B2F), 0.65);
      break;
    case Texture::kEarth:
      SetColor(cr, kBlack, 0.07);
      Hatch(cr, box, 0, 2.3, 0.9);
      Specks(cr, random, 0.1, 0.4, kWhite, 0.16);
      break;
    case Texture::kConcrete:
      Specks(cr, random, 0.12, 0.45, kBlack, 0.30);
      Specks(cr, random, 0.25, 0.8, kWhite, 0.10);
      break;
    case Texture::kBasket:
      PaintBasket(cr, surface);
      break;
    case Texture::kRope:
      PaintRope(cr, surface);
      break;

    case Texture::kSmooth:
    case Texture::kMetal:
    case Texture::kVelvet:
    case Texture::kGloss:
    case Texture::kGlass:
      break;  // PaintLight alone shows these
  }
}

void PaintLight(cairo_t* cr, const PaintBox& box, const Surface& surface, Form form) {
  const double x0 = box.x0, x1 = box.x1, y0 = box.y0, y1 = box.y1;
  switch (surface.texture) {
    case Texture::kMetal:
      if (form == Form::kBall) {
        BallLight(cr, box, 1.5);
      } else {
        LinearLight(cr, x0, 0, x1, 0,
                    {{0, -0.45},
                     {0.12, -0.10},
                     {0.24, 0.75},
                     {0.34, 0.10},
                     {0.55, -0.22},
                     {0.72, 0.22},
                     {0.84, -0.15},
                     {1, -0.55}});
      }
      break;
    case Texture::kGlass:
      LinearLight(cr, x0, 0, x1, 0,
                  {{0, 0.75},
                   {0.07, 0.10},
                   {0.2, 0.55},
                   {0.27, 0.02},
                   {0.8, 0.02},
                   {0.92, 0.40},
                   {1, -0.25}});
      break;
    case Texture::kVelvet:
      LinearLight(cr, x0, y0, x1, y1,
                  {{0, 0.30}, {0.25, -0.22}, {0.5, 0.24}, {0.75, -0.25}, {1, -0.40}});
      break;
    default:
      if (form == Form::kBall) {
        BallLight(cr, box, 1.0);
      } else if (form == Form::kCylinder) {
        LinearLight(
            cr, x0, 0, x1, 0,
            {{0, -0.26}, {0.2, 0.16}, {0.34, 0.24}, {0.5, 0.0001}, {0.51, -0.0001}, {1, -0.46}});
      } else {
        LinearLight(cr, x0, y0, x1, y1, {{0, 0.16}, {0.45, 0.0001}, {0.46, -0.0001}, {1, -0.20}});
      }
  }

  if (surface.texture == Texture::kGloss) Reflection(cr, box, 0.55);
  if (surface.texture == Texture::kLeather) Reflection(cr, box, 0.14);
  if (form != Form::kFlat)
    LinearLight(cr, 0, y0, 0, y1, {{0, 0.10}, {0.5, 0.0001}, {0.51, -0.0001}, {1, -0.20}});
}

}  // namespace palate::demo

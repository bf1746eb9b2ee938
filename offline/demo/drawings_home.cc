// Lamps, seats, clocks and textiles.
#include <cmath>
#include <numbers>
#include <string>

#include "absl/strings/str_format.h"
#include "offline/demo/drawings.h"

namespace palate::demo {
namespace {

const Rgb kWarmLight{1.0, 0.93, 0.72};

Surface Wooden(unsigned rgb) { return {Rgb::FromHex(rgb), Texture::kWood, "plain", {}}; }

void DrawLampFoot(Canvas& canvas, const Look& look) {
  if (look.form == 0) {
    canvas.FillRect(48.4, 44, 3.2, 40, 1, look.natural, Form::kCylinder);
    canvas.FillEllipse(50, 85.5, 17, 4, look.natural, Form::kBall);
    canvas.FillEllipse(50, 83.6, 16, 3.4, look.natural, Form::kCylinder);
  } else if (look.form == 1) {
    const double belly = canvas.random().Uniform(15, 19);
    canvas.FillRect(48, 44, 4, 12, 1, {Rgb::FromHex(0xB9A36A), Texture::kMetal, "plain", {}},
                    Form::kCylinder);
    canvas.Fill(absl::StrFormat("M 45 54 C %.1f 58 %.1f 76 42 86 L 58 86 C %.1f 76 %.1f 58 55 54 Z",
                                50 - belly, 50 - belly, 50 + belly, 50 + belly),
                look.natural, Form::kBall);
  } else {
    canvas.Bar("M 50 50 L 50 86", 2.6, look.natural);
    canvas.Bar("M 49 52 L 34 86", 2.8, look.natural);
    canvas.Bar("M 51 52 L 66 86", 2.8, look.natural);
  }
}

// The outline of a shade of the form, from about y = 17 to y = 51.
std::string LampShade(int form) {
  switch (form) {
    case 0:
      return "M 37 17 L 63 17 L 77 48 C 62 51 38 51 23 48 Z";
    case 1:
      return "M 28 19 C 40 16.5 60 16.5 72 19 L 73 48 C 60 51 40 51 27 48 Z";
    default:
      return "M 22 49 C 22 8 78 8 78 49 C 62 52 38 52 22 49 Z";
  }
}

void DrawLegs(Canvas& canvas, std::initializer_list<const char*> legs, double width,
              const Surface& surface) {
  for (const char* leg : legs) canvas.Bar(leg, width, surface);
}

// The clock's hands and marks around (50, 50).
void DrawClockFace(Canvas& canvas, double radius, const Rgb& ink, bool luminous) {
  for (int i = 0; i < 12; ++i) {
    const double angle = i * std::numbers::pi / 6, inner = radius * (i % 3 == 0 ? 0.76 : 0.84);
    canvas.Line(absl::StrFormat("M %.2f %.2f L %.2f %.2f", 50 + inner * std::sin(angle),
                                50 - inner * std::cos(angle), 50 + radius * 0.92 * std::sin(angle),
                                50 - radius * 0.92 * std::cos(angle)),
                i % 3 == 0 ? 1.5 : 0.8, luminous ? Rgb::FromHex(0xB9F2C0) : ink);
  }

  const double minute = canvas.random().Uniform(0, 2 * std::numbers::pi),
               hour = canvas.random().Index(12) * std::numbers::pi / 6 + minute / 12;

  canvas.Line(absl::StrFormat("M 50 50 L %.2f %.2f", 50 + radius * 0.50 * std::sin(hour),
                              50 - radius * 0.50 * std::cos(hour)),
              2.0, ink);
  canvas.Line(absl::StrFormat("M 50 50 L %.2f %.2f", 50 + radius * 0.76 * std::sin(minute),
                              50 - radius * 0.76 * std::cos(minute)),
              1.3, ink);
  canvas.FlatEllipse(50, 50, 1.7, 1.7, Rgb::FromHex(0xC4382F));
}

void DrawFringe(Canvas& canvas, double x0, double x1, double y, double length) {
  for (double x = x0; x <= x1; x += 1.5) {
    canvas.Line(absl::StrFormat("M %.2f %.2f L %.2f %.2f", x, y,
                                x + canvas.random().Uniform(-0.6, 0.6), y + length),
                0.6, Rgb::FromHex(0xEFE6D2));
  }
}

}  // namespace

void DrawTableLamp(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 86, 26, 5);
  DrawLampFoot(canvas, look);
  const std::string shade = LampShade(look.form);
  canvas.Fill(shade, look.accent, Form::kCylinder);
  canvas.Flat("M 26 48 C 40 51 60 51 74 48 C 60 46.6 40 46.6 26 48 Z", kWarmLight, 0.95);
  canvas.Glow(50, 42, 26, kWarmLight, 0.42);
}

void DrawPendantLamp(Canvas& canvas, const Look& look) {
  canvas.Line("M 50 0 L 50 26", 1.3, look.tint.color);
  canvas.FillRect(46.5, 22, 7, 9, 2, look.tint, Form::kCylinder);

  const Surface& outside = look.dyed ? look.body : look.natural;
  if (look.form == 1) {
    canvas.DropShadow("M 26 54 C 26 22 74 22 74 54 C 74 86 26 86 26 54 Z", 3, 5);
    canvas.FillEllipse(50, 54, 25, 25, outside, Form::kBall);
    canvas.Fill("M 25.6 50 L 74.4 50 L 74.6 57 L 25.4 57 Z", look.accent, Form::kCylinder);
  } else {
    const char* dome =
        look.form == 0
            ? "M 17 68 C 17 42 38 32 45 29 L 55 29 C 62 32 83 42 83 68 C 66 73 34 73 17 68 Z"
            : "M 44 29 L 56 29 L 80 70 C 64 74 36 74 20 70 Z";
    canvas.DropShadow(dome, 3, 5);
    canvas.Fill(dome, outside, Form::kCylinder);
    canvas.Fill(look.form == 0 ? "M 17.6 62 C 34 67 66 67 82.4 62 L 83 68 C 66 73 34 73 17 68 Z"
                               : "M 23.6 64 C 38 68 62 68 76.4 64 L 80 70 C 64 74 36 74 20 70 Z",
                look.accent, Form::kCylinder);
    canvas.FlatEllipse(50, 70.5, 22, 2.2, kWarmLight, 0.95);
    canvas.FlatEllipse(50, 72, 6, 4, {1, 0.98, 0.90});
  }

  canvas.Glow(50, 72, 30, kWarmLight, 0.5);
}

void DrawArmchair(Canvas& canvas, const Look& look) {
  const bool framed = look.family == MaterialFamily::kWood || look.family == MaterialFamily::kWoven;
  const Surface& cloth = framed ? look.accent : look.body;
  const Surface wood = framed ? look.natural : Wooden(look.form == 1 ? 0x5B3B26 : 0xB98A57);

  canvas.GroundShadow(50, 88, 38, 6);
  DrawLegs(canvas, {"M 27 74 L 24 88", "M 73 74 L 76 88", "M 36 74 L 36 84", "M 64 74 L 64 84"},
           3.2, wood);

  const char* back =
      look.form == 0 ? "M 25 66 L 25 30 C 25 18 34 16 50 16 C 66 16 75 18 75 30 L 75 66 Z"
      : look.form == 1
          ? "M 16 64 C 12 36 26 20 50 20 C 74 20 88 36 84 64 Z"
          : "M 28 66 L 26 24 C 26 17 30 15 36 15 L 64 15 C 70 15 74 17 74 24 L 72 66 Z";
  canvas.Fill(back, framed ? look.natural : cloth, Form::kCylinder);
  if (framed)
    canvas.Fill("M 31 62 L 31 28 C 31 22 36 21 50 21 C 64 21 69 22 69 28 L 69 62 Z", cloth,
                Form::kCylinder);
  if (look.form == 2) canvas.Line("M 50 18 L 50 52", 0.5, Darker(cloth.color, 0.4), 0.7);

  canvas.FillRect(20, 64, 60, 13, 4, framed ? look.natural : cloth, Form::kFlat);
  canvas.FillRect(26, 53, 48, 14, 6, cloth, Form::kCylinder);
  canvas.Line("M 28 64 C 40 66 60 66 72 64", 0.5, Darker(cloth.color, 0.5), 0.6);

  if (framed) {
    canvas.Bar("M 18 48 L 18 78", 4, wood);
    canvas.Bar("M 82 48 L 82 78", 4, wood);
    canvas.Bar("M 14 47 L 30 46", 5, wood);
    canvas.Bar("M 86 47 L 70 46", 5, wood);
  } else {
    canvas.Fill("M 13 78 C 11 60 11 50 16 46 C 22 42 28 46 28 53 L 28 78 Z", cloth,
                Form::kCylinder);
    canvas.Fill("M 87 78 C 89 60 89 50 84 46 C 78 42 72 46 72 53 L 72 78 Z", cloth,
                Form::kCylinder);
  }
}

void DrawStool(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 87, 32, 5);

  const Surface& frame = look.dyed ? look.body : look.natural;
  if (look.form == 1) {
    canvas.FillRect(47.5, 36, 5, 48, 1.5, frame, Form::kCylinder);
    canvas.FillEllipse(50, 86, 20, 4, frame, Form::kBall);
    canvas.RingEllipse(50, 70, 13, 3, 1.5, Darker(frame.color, 0.2));
  } else {
    Surface behind = frame;
    behind.color = Darker(frame.color, 0.25);
    DrawLegs(canvas, {"M 42 40 L 38 80", "M 58 40 L 62 80"}, 3, behind);
    canvas.Bar(look.form == 0 ? "M 32 66 L 68 66" : "M 31 72 L 69 72", 2.2, frame);
    DrawLegs(canvas, {"M 34 38 L 26 88", "M 66 38 L 74 88"}, 3.8, frame);
  }

  if (look.form == 2) {
    canvas.Fill("M 20 34 C 34 38 66 38 80 34 L 79 41 C 64 45 36 45 21 41 Z", frame, Form::kFlat);
    canvas.Fill("M 24 27 L 76 27 L 81 35 C 66 39 34 39 19 35 Z", look.accent, Form::kFlat);
  } else {
    canvas.Fill("M 22 33 L 22 38 C 24 47 76 47 78 38 L 78 33 Z", frame, Form::kCylinder);
    canvas.FillEllipse(50, 33, 28, 8, frame, Form::kFlat);
    canvas.FillEllipse(50, 31, 25.5, 7, look.accent, Form::kFlat);
  }
}

void DrawWallClock(Canvas& canvas, const Look& look) {
  const Rgb ink = Luminance(look.tint.color) > 0.45 ? kInk : Rgb{0.96, 0.95, 0.92};
  const bool square = look.form == 2;
  const std::string rim = square ? "M 18 18 L 82 18 L 82 82 L 18 82 Z"
                                 : "M 50 14 C 70 14 86 30 86 50 C 86 70 70 86 50 86 C 30 86 14 70 "
                                   "14 50 C 14 30 30 14 50 14 Z";

  canvas.DropShadow(rim, 2.5, 4);
  canvas.Fill(rim, look.natural, Form::kFlat);

  const double radius = look.Has("slim") ? 33 : 29.5;
  Surface face = look.accent;
  face.texture = Texture::kSmooth;

  if (square) {
    canvas.FillRect(50 - radius * 0.93, 50 - radius * 0.93, radius * 1.86, radius * 1.86, 2, face,
                    Form::kFlat);
  } else {
    canvas.FillEllipse(50, 50, radius, radius, face, Form::kFlat);
  }

  canvas.FlatEllipse(50, 50, radius * 0.62, radius * 0.62, look.tint.color,
                     face.pattern == "plain" ? 0.0 : 0.86);
  DrawClockFace(canvas, radius * (square ? 0.92 : 1), ink, look.Has("luminous"));
  canvas.RingEllipse(50, 50, square ? 0.1 : radius, square ? 0.1 : radius, 0.8,
                     Darker(look.natural.color, 0.5), 0.6);
}

void DrawRug(Canvas& canvas, const Look& look) {
  Surface border = look.body;
  border.pattern = "plain";
  border.color =
      look.body.pattern == "plain" ? Darker(look.body.color, 0.35) : look.body.pattern_color;
  if (look.form == 1) {
    canvas.GroundShadow(50, 60, 47, 27);
    canvas.FillEllipse(50, 57, 43, 26, border, Form::kFlat);
    canvas.FillEllipse(50, 57, 38, 22.6, look.body, Form::kFlat);
    canvas.RingEllipse(50, 57, 28, 16.5, 1.1, border.color, 0.8);
    return;
  }

  const bool runner = look.form == 2;
  const double top = runner ? 24 : 34, left = runner ? 36 : 22, foot_left = runner ? 22 : 8;
  const double right = 100 - left, foot_right = 100 - foot_left;
  const std::string outline = absl::StrFormat("M %.1f %.1f L %.1f %.1f L %.1f 80 L %.1f 80 Z", left,
                                              top, right, top, foot_right, foot_left);

  canvas.DropShadow(outline, 0.5, 2.5);
  DrawFringe(canvas, left + 0.5, right - 0.5, top, -3);
  DrawFringe(canvas, foot_left + 0.8, foot_right - 0.8, 80, 4.5);
  canvas.Fill(outline, border, Form::kFlat);
  canvas.Fill(absl::StrFormat("M %.1f %.1f L %.1f %.1f L %.1f 76 L %.1f 76 Z", left + 4, top + 3,
                              right - 4, top + 3, foot_right - 6, foot_left + 6),
              look.body, Form::kFlat);
  canvas.Line(absl::StrFormat("M %.1f %.1f L %.1f %.1f L %.1f 72.5 L %.1f 72.5 Z", left + 8,
                              top + 6, right - 8, top + 6, foot_right - 12, foot_left + 12),
              0.9, border.color, 0.75);
}

void DrawCushion(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 80, 36, 6);
  const char* outline = look.form == 1 ? "M 12 36 C 36 40 64 40 88 36 C 84 46 84 62 88 74 C 64 70 "
                                         "36 70 12 74 C 16 62 16 46 12 36 Z"
                        : look.form == 2 ? "M 50 18 C 78 18 86 34 86 50 C 86 68 76 82 50 82 C 24 "
                                           "82 14 68 14 50 C 14 34 22 18 50 18 Z"
                                         : "M 17 19 C 38 25 62 25 83 19 C 78 40 78 60 84 82 C 62 "
                                           "77 38 77 16 82 C 22 60 22 40 17 19 Z";

  canvas.Fill(outline, look.body, Form::kBall);
  canvas.Line(outline, 1.3,
              look.body.pattern == "plain" ? Darker(look.body.color, 0.3) : look.body.pattern_color,
              0.9);

  if (look.form == 2) {
    canvas.FillEllipse(50, 49, 3, 3, look.body, Form::kBall);
    for (int i = 0; i < 8; ++i) {
      const double angle = i * std::numbers::pi / 4 + 0.2;
      canvas.Line(absl::StrFormat("M %.1f %.1f L %.1f %.1f", 50 + 4 * std::cos(angle),
                                  49 + 4 * std::sin(angle), 50 + 16 * std::cos(angle),
                                  49 + 15 * std::sin(angle)),
                  0.6, Darker(look.body.color, 0.5), 0.35);
    }
  } else {
    canvas.Line("M 24 26 C 30 34 33 36 38 39", 0.7, Darker(look.body.color, 0.5), 0.35);
    canvas.Line("M 76 26 C 70 34 67 36 62 39", 0.7, Darker(look.body.color, 0.5), 0.35);
  }

  if (look.Has("zipped"))
    canvas.Dashes("M 26 77.5 C 42 74.5 58 74.5 74 77.5", 0.8, Rgb::FromHex(0xD8D5CC), 1.0);
}

}  // namespace palate::demo

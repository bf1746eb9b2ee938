// Kitchen, garden, audio and watches.
#include <cmath>
#include <numbers>
#include <string>

#include "absl/strings/str_format.h"
#include "offline/demo/drawings.h"

namespace palate::demo {
namespace {

// A band in the product's color around an object of undyed material. A dyed object shows the color
// already and gets none.
void DrawBand(Canvas& canvas, const Look& look, const std::string& path) {
  if (!look.dyed) canvas.Fill(path, look.accent, Form::kCylinder);
}

void DrawLeaf(Canvas& canvas, double x, double y, double angle, double length, double width,
              const Rgb& green) {
  const double dx = std::sin(angle), dy = -std::cos(angle);
  const double tip_x = x + dx * length, tip_y = y + dy * length, mid_x = x + dx * length * 0.45,
               mid_y = y + dy * length * 0.45;

  const Surface leaf{green, Texture::kSmooth, "plain", {}};
  canvas.Fill(absl::StrFormat("M %.2f %.2f Q %.2f %.2f %.2f %.2f Q %.2f %.2f %.2f %.2f Z", x, y,
                              mid_x - dy * width, mid_y + dx * width, tip_x, tip_y,
                              mid_x + dy * width, mid_y - dx * width, x, y),
              leaf, Form::kFlat);

  canvas.Line(absl::StrFormat("M %.2f %.2f L %.2f %.2f", x, y, x + dx * length * 0.9,
                              y + dy * length * 0.9),
              0.4, Lighter(green, 0.4), 0.7);
}

void DrawPlant(Canvas& canvas, int sort) {
  Random& random = canvas.random();
  const Rgb green = Mix(Rgb::FromHex(0x3F7D45), Rgb::FromHex(0x6FA05A), random.Uniform());

  if (sort == 0) {  // upright blades
    for (int i = 0; i < 9; ++i) {
      const double side = (i - 4) / 4.0;
      DrawLeaf(canvas, 50 + side * 11, 50, side * 0.42 + random.Uniform(-0.1, 0.1),
               random.Uniform(26, 40), 7,
               Mix(green, Rgb::FromHex(0x2C5C3A), random.Uniform() * 0.6));
    }
  } else if (sort == 1) {  // a bush of round leaves
    for (int i = 0; i < 26; ++i) {
      const double angle = random.Uniform(-1.5, 1.5), reach = random.Uniform(6, 25);
      const double x = 50 + std::sin(angle) * reach, y = 46 - std::cos(angle) * reach;
      canvas.Line(
          absl::StrFormat("M 50 52 Q %.1f %.1f %.1f %.1f", 50 + (x - 50) * 0.3, y + 8, x, y), 0.7,
          Darker(green, 0.3));
      DrawLeaf(canvas, x, y, angle + random.Uniform(-0.5, 0.5), random.Uniform(8, 12), 7,
               Mix(green, Rgb::FromHex(0x8DB868), random.Uniform() * 0.5));
    }
  } else {  // a rosette
    for (int ring = 0; ring < 3; ++ring) {
      for (int i = 0; i < 9 - ring * 2; ++i) {
        const double angle = -1.45 + 2.9 * i / (8.0 - ring * 2);
        DrawLeaf(canvas, 50 + std::sin(angle) * 5, 50, angle, 29 - ring * 4 + random.Uniform(-2, 2),
                 11, Mix(green, Rgb::FromHex(0x9CC6A0), 0.25 * ring));
      }
    }
  }
}

void DrawKnobs(Canvas& canvas, std::initializer_list<double> xs, double y, double radius) {
  const Surface knob{Rgb::FromHex(0xC9CDD1), Texture::kMetal, "plain", {}};
  for (const double x : xs) canvas.FillEllipse(x, y, radius, radius, knob, Form::kBall);
}

void DrawCone(Canvas& canvas, double x, double y, double radius) {
  canvas.FillEllipse(x, y, radius, radius, {Rgb::FromHex(0x3A3A3E), Texture::kSmooth, "plain", {}},
                     Form::kBall);
  canvas.RingEllipse(x, y, radius * 0.8, radius * 0.8, 1.1, Rgb::FromHex(0x5C5C62));
  canvas.FillEllipse(x, y, radius * 0.38, radius * 0.38,
                     {Rgb::FromHex(0x26262A), Texture::kGloss, "plain", {}}, Form::kBall);
}

}  // namespace

void DrawMug(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(48, 85, 28, 5);

  const Surface& wall = look.body;
  canvas.Bar(look.form == 1 ? "M 68 42 L 84 42 L 84 66 L 67 68" : "M 68 40 C 90 36 90 70 66 70",
             look.form == 2 ? 4.5 : 6, wall);
  const char* outline =
      look.form == 0   ? "M 26 29 L 29 80 C 30 88 68 88 69 80 L 72 29 Z"
      : look.form == 1 ? "M 27 29 L 27 82 C 28 88 70 88 71 82 L 71 29 Z"
                       : "M 27 29 C 20 46 22 74 36 85 C 44 88 54 88 62 85 C 76 74 78 46 71 29 Z";

  canvas.Fill(outline, wall, Form::kCylinder);
  DrawBand(canvas, look,
           look.form == 2 ? "M 22.6 48 C 38 52 60 52 75.4 48 L 75.2 62 C 60 66 38 66 22.8 62 Z"
                          : "M 27.3 46 C 38 50 60 50 70.8 46 L 70.2 64 C 60 68 38 68 28 64 Z");

  canvas.FillEllipse(49, 29, look.form == 0 ? 23 : 22, 5.2, wall, Form::kFlat);
  canvas.FlatEllipse(49, 29.4, 20, 4, Darker(wall.color, 0.45));
  canvas.FlatEllipse(49, 30.4, 18.5, 3.0, Rgb::FromHex(0x4A2C1C));
  canvas.FlatEllipse(44, 30.0, 7, 1.0, Rgb::FromHex(0x8B5E3D), 0.8);
  if (look.Has("double-walled")) canvas.RingEllipse(49, 29, 21.5, 4.7, 0.7, {1, 1, 1}, 0.7);
}

void DrawTeapot(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(49, 83, 31, 5);
  const Surface& wall = look.body;
  const bool tall = look.form == 1;
  canvas.Fill("M 68 58 C 80 58 80 46 89 39 L 94 41 C 90 50 90 70 70 74 Z", wall, Form::kFlat);

  if (look.form == 2) {
    canvas.Bar("M 27 50 C 22 10 74 10 69 50", 3.2, look.natural);
  } else {
    canvas.Bar(tall ? "M 30 40 C 8 36 8 72 30 72" : "M 27 50 C 5 44 5 76 27 72", 4.6, wall);
  }

  canvas.Fill(tall ? "M 34 34 C 26 52 24 72 30 82 C 38 86 60 86 68 82 C 74 72 72 52 64 34 Z"
                   : "M 48 38 C 70 38 76 50 76 60 C 76 72 68 82 60 84 L 36 84 C 28 82 20 72 20 60 "
                     "C 20 50 26 38 48 38 Z",
              wall, Form::kBall);
  DrawBand(canvas, look,
           tall ? "M 28.8 52 C 40 55 58 55 69.4 52 L 70.6 64 C 58 67 40 67 27.2 64 Z"
                : "M 20.4 57 C 34 62 62 62 75.7 57 L 75 68 C 62 73 34 73 21.4 68 Z");

  const double lid = tall ? 35 : 40;
  canvas.Fill(absl::StrFormat("M 34 %.0f C 36 %.0f 60 %.0f 64 %.0f C 56 %.0f 42 %.0f 34 %.0f Z",
                              lid, lid - 10, lid - 10, lid, lid + 3, lid + 3, lid),
              wall, Form::kBall);
  canvas.FillEllipse(49, lid - 9, 3.4, 3.2, look.dyed ? look.natural : look.tint, Form::kBall);
}

void DrawPlantPot(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 88, 27, 5);
  DrawPlant(canvas, static_cast<int>(canvas.random().Index(3)));

  const Surface& wall = look.body;
  canvas.FlatEllipse(50, 51.5, 20, 3.6, Rgb::FromHex(0x3B2A20));

  if (look.form == 0) {
    canvas.Fill("M 30 56 L 70 56 L 64 87 C 58 90 42 90 36 87 Z", wall, Form::kCylinder);
    DrawBand(canvas, look, "M 31.6 64 C 42 67 58 67 68.4 64 L 66.4 74 C 58 77 42 77 33.6 74 Z");
    canvas.Fill("M 27 50 C 40 54 60 54 73 50 L 72 58 C 60 62 40 62 28 58 Z", wall, Form::kCylinder);
  } else if (look.form == 1) {
    canvas.Fill("M 29 51 C 40 55 60 55 71 51 L 71 86 C 60 90 40 90 29 86 Z", wall, Form::kCylinder);
    DrawBand(canvas, look, "M 29 64 C 40 68 60 68 71 64 L 71 76 C 60 80 40 80 29 76 Z");
  } else {
    canvas.Fill(
        "M 31 51 C 40 55 60 55 69 51 C 82 66 74 84 62 88 C 56 90 44 90 38 88 C 26 84 18 66 31 51 Z",
        wall, Form::kBall);
    DrawBand(canvas, look, "M 25.6 62 C 38 66 62 66 74.4 62 L 74.8 72 C 62 76 38 76 25.2 72 Z");
  }
}

void DrawWateringCan(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(53, 85, 31, 5);
  const Surface& wall = look.body;
  const Surface& spout = look.dyed ? look.body : look.natural;

  canvas.Bar(look.form == 1 ? "M 68 46 C 94 34 96 84 70 78" : "M 66 42 C 92 38 94 80 70 78", 3.6,
             spout);
  if (look.form != 1) canvas.Bar("M 40 42 C 42 20 64 20 66 42", 3.2, spout);

  const bool slender = look.form == 2 || look.Has("long-necked");
  canvas.Fill(slender ? "M 38 76 L 13 26 L 17 24 L 40 62 Z" : "M 38 78 L 14 38 L 21 34 L 40 60 Z",
              spout, Form::kFlat);
  if (!slender) {
    canvas.Fill("M 21 34 L 14 38.5 L 6 35 L 19 25 Z", spout, Form::kFlat);
    canvas.Fill("M 5.4 35.6 C 3 33.4 16.6 22.8 19.2 24.8 C 21.4 26.6 8 37.6 5.4 35.6 Z",
                {Lighter(spout.color, 0.15), Texture::kSmooth, "plain", {}}, Form::kFlat);
    for (int i = 0; i < 5; ++i)
      canvas.FlatEllipse(8 + i * 2.2, 33.6 - i * 1.7, 0.5, 0.5, kInk, 0.8);
  }

  canvas.Fill(look.form == 1 ? "M 36 50 C 36 40 70 40 70 50 L 74 84 C 64 88 42 88 32 84 Z"
                             : "M 35 42 C 44 45 60 45 69 42 L 71 84 C 62 88 42 88 33 84 Z",
              wall, Form::kCylinder);
  DrawBand(canvas, look,
           look.form == 1 ? "M 34.6 58 C 46 62 60 62 71 58 L 72.4 72 C 62 76 44 76 33.4 72 Z"
                          : "M 34.5 56 C 44 60 60 60 69.7 56 L 70.4 70 C 62 74 42 74 33.7 70 Z");

  if (look.form != 1) canvas.FlatEllipse(52, 42.6, 16.4, 2.4, Darker(wall.color, 0.5), 0.85);
}

void DrawHeadphones(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 84, 36, 4.5);
  const char* band = look.form == 1 ? "M 22 58 C 18 6 82 6 78 58" : "M 22 60 C 14 8 86 8 78 60";
  canvas.Bar(band, look.form == 2 ? 4 : 6.5, look.form == 2 ? look.natural : look.tint);
  if (look.form != 2) canvas.Dashes(band, 0.5, Lighter(look.tint.color, 0.5), 1.6, 0.8);
  if (look.form == 2) canvas.Bar("M 34 26 C 42 20 58 20 66 26", 7, look.tint);

  Surface cushion = look.tint;
  cushion.texture = Texture::kLeather;
  cushion.color = Darker(look.tint.color, 0.15);

  for (const double side : {-1.0, 1.0}) {
    const double x = 50 + side * 27;
    canvas.Bar(absl::StrFormat("M %.1f 46 L %.1f 58", x + side * 1, x + side * 1.5), 2.4,
               {Rgb::FromHex(0xB9BEC4), Texture::kMetal, "plain", {}});
    canvas.FillRect(x - side * 9 - 6, 48, 12, 32, 6, cushion, Form::kCylinder);
    canvas.FillEllipse(x + side * 1.5, 64, look.form == 1 ? 9 : 10.5, look.form == 1 ? 18 : 16,
                       look.body, Form::kBall);
    if (!look.dyed) canvas.FillEllipse(x + side * 2, 64, 5, 8, look.accent, Form::kFlat);
    canvas.RingEllipse(x + side * 1.8, 64, 6.4, 10.5, 0.6, Darker(look.body.color, 0.5), 0.6);
  }

  if (!look.Has("wireless"))
    canvas.Line("M 21 79 C 20 92 40 82 44 92 C 47 98 58 90 60 97", 1.1, kInk);
}

void DrawSpeaker(Canvas& canvas, const Look& look) {
  const Surface& cabinet = look.body;
  Surface grill =
      look.dyed ? Surface{Rgb::FromHex(0xE4E0D6), Texture::kWeave, "plain", {}} : look.accent;

  if (look.form == 0) {
    canvas.GroundShadow(50, 88, 27, 5);
    canvas.Fill("M 74 14 L 80 18 L 80 84 L 74 88 Z",
                {Darker(cabinet.color, 0.35), cabinet.texture, "plain", {}}, Form::kFlat);
    canvas.FillRect(26, 12, 49, 76, 4, cabinet, Form::kFlat);
    canvas.FillRect(31, 17, 39, 66, 3, grill, Form::kFlat);
    DrawCone(canvas, 50.5, 34, 8.5);
    DrawCone(canvas, 50.5, 63, 14.5);
  } else if (look.form == 1) {
    canvas.GroundShadow(50, 77, 42, 6);
    canvas.Bar("M 28 32 C 30 18 70 18 72 32", 2.8,
               {Rgb::FromHex(0x8A5733), Texture::kLeather, "plain", {}});
    canvas.FillRect(10, 30, 80, 46, 8, cabinet, Form::kFlat);
    canvas.FillRect(15, 35, 70, 29, 4, grill, Form::kFlat);
    DrawCone(canvas, 33, 49.5, 11);
    DrawCone(canvas, 67, 49.5, 11);
    DrawKnobs(canvas, {26, 38, 50, 62, 74}, 70, 2.4);
  } else {
    canvas.GroundShadow(50, 87, 27, 5);
    canvas.Fill("M 28 26 L 28 80 C 30 90 70 90 72 80 L 72 26 Z", look.dyed ? cabinet : grill,
                Form::kCylinder);
    canvas.Fill("M 28 72 C 30 80 70 80 72 72 L 72 80 C 70 90 30 90 28 80 Z", look.natural,
                Form::kCylinder);
    canvas.FillEllipse(50, 26, 22, 6.5, look.natural, Form::kFlat);
    canvas.RingEllipse(50, 26, 12, 3.4, 1.0, Rgb::FromHex(0x6FD3E8));
  }
}

void DrawWristwatch(Canvas& canvas, const Look& look) {
  const bool soft =
      look.family == MaterialFamily::kLeather || look.family == MaterialFamily::kFabric;
  Surface strap = soft ? look.body : look.accent;
  if (!soft) strap.texture = Texture::kLeather;
  const Surface metal =
      soft ? Surface{Rgb::FromHex(0xAEB6BD), Texture::kMetal, "plain", {}} : look.natural;

  canvas.DropShadow("M 38 4 L 62 4 L 64 96 L 36 96 Z", 3, 3);
  canvas.Fill("M 39 3 C 46 1 54 1 61 3 L 65 34 L 35 34 Z", strap, Form::kCylinder);
  canvas.Fill("M 35 66 L 65 66 L 61 96 C 54 99 46 99 39 96 Z", strap, Form::kCylinder);
  canvas.Dashes("M 41 6 L 38 32", 0.5, Lighter(strap.color, 0.55), 1.2);
  canvas.Dashes("M 59 6 L 62 32", 0.5, Lighter(strap.color, 0.55), 1.2);
  for (double y = 80; y < 94; y += 4.5) canvas.FlatEllipse(50, y, 0.9, 0.9, kInk, 0.8);

  canvas.FillRect(73, 47, 5, 6, 1.5, metal, Form::kFlat);
  const Rgb dial =
      Luminance(look.tint.color) > 0.5 ? Rgb::FromHex(0x23262C) : Rgb::FromHex(0xF4F1E8);
  const Rgb ink = Luminance(dial) > 0.5 ? kInk : Rgb{0.97, 0.96, 0.93};

  if (look.form == 2) {
    canvas.FillRect(27, 26, 46, 48, 9, metal, Form::kFlat);
    canvas.FillRect(31.5, 30.5, 37, 39, 6, {dial, Texture::kSmooth, "plain", {}}, Form::kFlat);
  } else {
    canvas.FillEllipse(50, 50, 25.5, 25.5, metal, Form::kFlat);
    canvas.FillEllipse(50, 50, look.Has("slim") ? 23.5 : 21, look.Has("slim") ? 23.5 : 21,
                       {dial, Texture::kSmooth, "plain", {}}, Form::kFlat);
  }

  for (int i = 0; i < 12; ++i) {
    const double angle = i * std::numbers::pi / 6;
    canvas.Line(absl::StrFormat("M %.2f %.2f L %.2f %.2f", 50 + 16.2 * std::sin(angle),
                                50 - 16.2 * std::cos(angle), 50 + 18.6 * std::sin(angle),
                                50 - 18.6 * std::cos(angle)),
                i % 3 == 0 ? 1.5 : 0.8, look.Has("luminous") ? Rgb::FromHex(0x77E39A) : ink);
  }

  if (look.form == 1) canvas.RingEllipse(50, 58, 4.2, 4.2, 0.6, ink, 0.8);
  canvas.Line("M 50 50 L 42 44", 1.8, ink);
  canvas.Line("M 50 50 L 59.5 40", 1.2, ink);
  canvas.Line("M 50 53 L 50 35", 0.5, Rgb::FromHex(0xD2402F));
  canvas.FlatEllipse(50, 50, 1.3, 1.3, ink);
}

}  // namespace palate::demo

// Bags, shoes and clothes.

#include "absl/strings/str_format.h"
#include "offline/demo/drawings.h"

namespace palate::demo {
namespace {

const Surface kTan{Rgb{0.56, 0.36, 0.21}, Texture::kLeather, "plain", {}};
const Surface kRubber{Rgb{0.94, 0.92, 0.87}, Texture::kSmooth, "plain", {}};

Surface Plain(Surface surface, double darker) {
  surface.pattern = "plain";
  surface.color = Darker(surface.color, darker);
  return surface;
}

void DrawBuckle(Canvas& canvas, double x, double y) {
  canvas.FillRect(x - 1.9, y - 6, 3.8, 12, 1, kTan, Form::kFlat);
  canvas.FillRect(x - 2.6, y + 2, 5.2, 4, 1, {Rgb::FromHex(0xC9A24B), Texture::kMetal, "plain", {}},
                  Form::kFlat);
}

// A low or high shoe that points to the left.
void DrawShoe(Canvas& canvas, const Look& look, const Surface& upper, bool high) {
  canvas.Fill(high ? "M 13 68 C 11 60 18 57 27 54 C 38 50 46 42 51 26 C 58 22 72 22 78 25 C 80 38 "
                     "80 48 87 56 C 90 62 "
                     "89 66 88 69 Z"
                   : "M 12 68 C 10 60 17 56 26 54 C 38 51 45 43 53 36 C 58 34 64 42 72 40 C 76 39 "
                     "77 36 80 36 C 80 44 "
                     "82 50 87 55 C 90 60 89 66 88 69 Z",
              upper, Form::kFlat);

  canvas.Fill("M 12 68 C 10 60 17 56 26 54 C 31 57 33 62 33 69 Z",
              look.Has("vegan") ? Plain(upper, 0.2) : kRubber, Form::kFlat);
  canvas.Fill(high
                  ? "M 78 25 C 80 38 80 48 87 56 C 90 62 89 66 88 69 L 78 69 C 73 56 72 40 72 24 Z"
                  : "M 80 36 C 80 44 82 50 87 55 C 90 60 89 66 88 69 L 77 69 C 73 58 73 48 74 39 Z",
              Plain(upper, 0.35), Form::kFlat);

  for (int i = 0; i < 5; ++i) {
    const double x = 35 + i * (high ? 4.2 : 4.4), y = 51.5 - i * (high ? 4.8 : 3.8);
    canvas.Line(absl::StrFormat("M %.1f %.1f L %.1f %.1f", x, y, x + 6.5, y + 4.2), 1.3,
                {0.97, 0.96, 0.93});
  }

  if (look.Has("reflective")) canvas.Line("M 56 62 L 76 56", 1.8, Rgb::FromHex(0xE8F2F4));
  canvas.Line("M 48 68 C 52 58 62 54 74 56", 1.6,
              look.body.pattern == "plain" ? Lighter(upper.color, 0.45) : look.body.pattern_color,
              0.9);

  canvas.Fill("M 11 67 C 34 69 60 69 89 67 C 91 72 90 76 85 76.5 L 17 76.5 C 11 76 10 72 11 67 Z",
              kRubber, Form::kFlat);
  canvas.Line("M 13 72 C 40 73.5 62 73.5 88 72", 0.7, look.tint.color, 0.9);
}

void DrawBoot(Canvas& canvas, const Look& look, const Surface& upper) {
  canvas.Fill(
      "M 40 15 C 48 13 62 13 69 15 C 68 34 68 46 71 56 C 74 66 74 72 73 78 L 14 78 C 11 68 18 63 "
      "29 59 C 40 54 43 44 "
      "40 15 Z",
      upper, Form::kFlat);

  canvas.Fill("M 40 15 C 48 13 62 13 69 15 L 68.6 21 C 60 19 48 19 40.6 21 Z", Plain(upper, 0.3),
              Form::kFlat);

  if (look.form == 0) {  // elastic at the ankle
    canvas.Fill("M 52 21 L 61 21 C 61 36 60 46 57 54 C 53 46 52 34 52 21 Z",
                {Rgb::FromHex(0x2C2B2E), Texture::kKnit, "plain", {}}, Form::kFlat);
  } else if (look.form == 1) {  // laces
    for (int i = 0; i < 6; ++i) {
      canvas.Line(absl::StrFormat("M %.1f %.1f L %.1f %.1f", 41.8 - i * 0.7, 24.0 + i * 5.2,
                                  50.0 - i * 0.9, 26.5 + i * 5.2),
                  1.3, Rgb::FromHex(0xEFE6D2));
    }
  } else {
    canvas.Line("M 58 22 C 58 40 60 54 64 66", 1.4, Rgb::FromHex(0xC8CCD0));
    canvas.Dashes("M 58 22 C 58 40 60 54 64 66", 0.8, kInk, 0.8);
  }

  canvas.Dashes("M 20 66 C 32 62 44 58 48 50", 0.5, Lighter(upper.color, 0.5), 1.2);
  canvas.Fill("M 13 77 L 74 77 L 74 87 L 60 87 L 57 82 L 15 82 C 12 81 12 79 13 77 Z",
              {Rgb::FromHex(look.form == 1 ? 0xD9C7A4 : 0x2A2320), Texture::kSmooth, "plain", {}},
              Form::kFlat);
}

}  // namespace

void DrawBackpack(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 89, 30, 5);

  const Surface& cloth = look.body;
  const Surface trim = Plain(cloth, 0.3);

  canvas.Bar("M 27 40 C 17 50 18 74 27 82", 4, trim);
  canvas.Bar("M 73 40 C 83 50 82 74 73 82", 4, trim);
  canvas.Bar("M 42 18 C 42 7 58 7 58 18", 2.6, trim);

  const bool roll = look.form == 2 || look.Has("rolltop");
  canvas.Fill(roll ? "M 28 24 L 72 24 L 75 80 C 75 90 25 90 25 80 Z"
                   : "M 27 38 C 27 8 73 8 73 38 L 76 80 C 76 90 24 90 24 80 Z",
              cloth, Form::kCylinder);

  if (roll) {
    canvas.FillRect(26, 14, 48, 13, 6, trim, Form::kFlat);
    DrawBuckle(canvas, 35, 30);
    DrawBuckle(canvas, 65, 30);
  } else if (look.form == 1) {
    canvas.Fill("M 26.5 38 C 27 9 73 9 73.5 38 C 73 50 60 53 50 53 C 40 53 27 50 26.5 38 Z", trim,
                Form::kCylinder);
    DrawBuckle(canvas, 39, 53);
    DrawBuckle(canvas, 61, 53);
  } else {
    canvas.Line("M 30 44 C 30 18 70 18 70 44", 1.2, kInk, 0.75);
    canvas.Dashes("M 30 44 C 30 18 70 18 70 44", 0.5, Rgb::FromHex(0xD8D5CC), 0.7);
  }

  canvas.FillRect(32, 59, 36, 24, 5, cloth, Form::kFlat);
  canvas.Line("M 34 64 L 66 64", 1.1, kInk, 0.75);
  canvas.Dashes("M 34.5 80 L 65.5 80", 0.45, Lighter(cloth.color, 0.5), 1.2);
  canvas.FillRect(46, 66.5, 8, 5, 1, kTan, Form::kFlat);
  if (look.Has("reflective")) canvas.Line("M 30 56 L 70 56", 1.8, Rgb::FromHex(0xE6EFF1));
}

void DrawToteBag(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 88, 33, 5);

  const Surface handle = look.form == 1 ? kTan : Plain(look.body, 0.22);
  canvas.Line("M 37 40 C 37 4 63 4 63 40", 3.4, Darker(handle.color, 0.35));
  canvas.Fill("M 22 38 L 78 38 L 76 44 L 24 44 Z", Plain(look.body, 0.55), Form::kFlat);

  canvas.Fill(look.form == 2 ? "M 20 40 C 40 43 60 43 80 40 C 90 62 88 84 78 88 C 60 90 40 90 22 "
                               "88 C 12 84 10 62 20 40 Z"
                             : "M 21 40 C 40 42 60 42 79 40 L 83 86 C 83 89 17 89 17 86 Z",
              look.body, Form::kFlat);

  canvas.Bar("M 35 54 L 35 42 C 35 10 65 10 65 42 L 65 54", 3.2, handle);
  canvas.Dashes("M 22 46 C 40 48 60 48 78 46", 0.5, Lighter(look.body.color, 0.5), 1.3);

  if (look.family == MaterialFamily::kWoven)
    canvas.Fill("M 17.8 72 C 40 75 60 75 82.2 72 L 83 86 C 83 89 17 89 17 86 Z", look.accent,
                Form::kFlat);

  canvas.Line("M 28 58 C 30 68 29 76 27 84", 0.7, Darker(look.body.color, 0.5), 0.35);
  canvas.Line("M 72 58 C 70 68 71 76 73 84", 0.7, Darker(look.body.color, 0.5), 0.35);
  if (look.form == 0)
    canvas.FillRect(44, 62, 12, 8, 1, {Rgb::FromHex(0xF3EEE2), Texture::kSmooth, "plain", {}},
                    Form::kFlat);
}

void DrawSneakers(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 79, 45, 5);
  canvas.Push(0, 0.9, false, 7, -8);
  DrawShoe(canvas, look, Plain(look.body, 0.22), look.form == 1);
  canvas.Pop();
  canvas.Push(0, 1.02, false, -2, 3);
  DrawShoe(canvas, look, look.body, look.form == 1);
  canvas.Pop();
}

void DrawAnkleBoots(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 87, 42, 5);
  canvas.Push(0, 0.92, false, 15, -4);
  DrawBoot(canvas, look, Plain(look.body, 0.25));
  canvas.Pop();
  canvas.Push(0, 1.0, false, -2, 1);
  DrawBoot(canvas, look, look.body);
  canvas.Pop();
}

void DrawJacket(Canvas& canvas, const Look& look) {
  const Surface& cloth = look.body;
  const Surface trim = Plain(cloth, 0.32);

  canvas.DropShadow(
      "M 36 18 L 64 18 L 76 24 L 88 78 L 76 82 L 74 88 L 26 88 L 24 82 L 12 78 L 24 24 Z", 2, 3.5);
  if (look.Has("hooded"))
    canvas.Fill("M 34 22 C 30 4 70 4 66 22 C 60 30 40 30 34 22 Z", trim, Form::kBall);

  canvas.Fill("M 31 20 C 22 24 19 34 11 76 L 22 80 C 27 64 30 52 32 44 Z", cloth, Form::kCylinder);
  canvas.Fill("M 69 20 C 78 24 81 34 89 76 L 78 80 C 73 64 70 52 68 44 Z", cloth, Form::kCylinder);
  canvas.Fill("M 11.6 73 L 23 77 L 22 81.5 L 10.6 77.5 Z", trim, Form::kFlat);
  canvas.Fill("M 88.4 73 L 77 77 L 78 81.5 L 89.4 77.5 Z", trim, Form::kFlat);

  const double hem = look.form == 1 ? 80 : 88;
  canvas.Fill(
      absl::StrFormat(
          "M 38 16 C 44 21 56 21 62 16 L 71 21 L 74 %.0f C 60 %.0f 40 %.0f 26 %.0f L 29 21 Z", hem,
          hem + 2, hem + 2, hem),
      cloth, Form::kCylinder);

  if (look.Has("quilted")) {
    for (double y = 32; y < hem - 4; y += 9) {
      canvas.Line(absl::StrFormat("M 28 %.0f C 42 %.1f 58 %.1f 72 %.0f", y, y + 2.2, y + 2.2, y),
                  0.9, Darker(cloth.color, 0.5), 0.55);
    }
  }

  if (look.form == 1)
    canvas.Fill(
        absl::StrFormat("M 26 %.0f C 40 %.0f 60 %.0f 74 %.0f L 73.6 86 C 60 88 40 88 26.4 86 Z",
                        hem, hem + 2, hem + 2, hem),
        trim, Form::kFlat);

  canvas.Fill("M 37 15 L 50 28 L 42 34 L 32 20 Z", trim, Form::kFlat);
  canvas.Fill("M 63 15 L 50 28 L 58 34 L 68 20 Z", trim, Form::kFlat);
  canvas.Line(absl::StrFormat("M 50 28 L 50 %.0f", hem + 1), 1.4,
              look.form == 2 ? Darker(cloth.color, 0.5) : Rgb::FromHex(0xC9CDD1));

  if (look.form == 2) {
    for (double y = 36; y < hem; y += 10)
      canvas.FillEllipse(52.6, y, 1.5, 1.5, {Rgb::FromHex(0xE9DFC8), Texture::kGloss, "plain", {}},
                         Form::kBall);
  } else {
    canvas.Dashes(absl::StrFormat("M 50 28 L 50 %.0f", hem + 1), 0.7, kInk, 0.7);
  }

  canvas.Line("M 33 62 L 42 58", 1.5, trim.color);
  canvas.Line("M 67 62 L 58 58", 1.5, trim.color);
  if (look.Has("reflective"))
    canvas.Line("M 29 48 C 42 50 58 50 71 48", 2.0, Rgb::FromHex(0xEAF3F5));
}

void DrawBeanie(Canvas& canvas, const Look& look) {
  canvas.GroundShadow(50, 80, 34, 4.5);

  const char* dome = look.form == 2 ? "M 18 62 C 18 30 34 12 54 10 C 66 10 84 30 82 62 Z"
                                    : "M 18 62 C 16 14 84 14 82 62 Z";
  canvas.Fill(dome, look.body, Form::kBall);

  for (double x = -24; x <= 24; x += 8) {
    canvas.Line(
        absl::StrFormat("M %.1f 60 Q %.1f 36 %.1f 27", 50 + x, 50 + x * 0.95, 50 + x * 0.35), 0.7,
        Darker(look.body.color, 0.5), 0.4);
  }

  const Surface cuff = look.body.pattern == "plain"
                           ? Plain(look.body, 0.14)
                           : Surface{look.body.pattern_color, look.body.texture, "plain", {}};
  canvas.FillRect(15, 58, 70, 20, 7, cuff, Form::kCylinder);
  for (double x = 19; x < 84; x += 3.6)
    canvas.Line(absl::StrFormat("M %.1f 60 L %.1f 76", x, x), 0.8, Darker(cuff.color, 0.5), 0.35);

  if (look.form == 0) {
    const Rgb fluff = Lighter(look.body.color, 0.25);
    for (int i = 0; i < 90; ++i) {
      const double x = 50 + canvas.random().Normal() * 4.2, y = 21 + canvas.random().Normal() * 3.6;
      canvas.FlatEllipse(x, y, 1.6, 1.6, i % 3 == 0 ? Darker(fluff, 0.25) : fluff, 0.8);
    }
  } else if (look.form == 1) {
    canvas.FillRect(60, 63, 12, 8, 1, kTan, Form::kFlat);
  }

  if (look.Has("reflective")) canvas.Line("M 17 67 L 83 67", 1.5, Rgb::FromHex(0xEAF3F5), 0.9);
}

}  // namespace palate::demo

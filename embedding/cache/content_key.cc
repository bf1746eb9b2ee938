#include "embedding/cache/content_key.h"

#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace palate::embedding {
namespace {

void AppendPart(absl::string_view part, std::string& out) {
  AppendBigEndian64(part.size(), out);
  out.append(part.data(), part.size());
}

}  // namespace

std::string ContentDigest(const EmbedInput& input, const std::string& instruction) {
  // The structured binding fails to compile when EmbedInput gains a member, which must then become
  // part of the key.
  const auto& [fields, images, role] = input;

  std::string content;
  content.push_back(role == EmbedRole::kQuery ? 'q' : 'i');
  AppendPart(instruction, content);
  AppendBigEndian64(fields.size(), content);
  for (const std::string& field : fields) AppendPart(field, content);
  // Images are hashed first, so that `content` stays small.
  for (const std::string& image : images) content.append(Sha256(image));
  return Sha256(content);
}

}  // namespace palate::embedding

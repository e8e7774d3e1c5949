#include "common/config/text_proto.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace skein {
namespace {

// Keeps the first error, which is the one that the others follow from. Lines and columns count from
// 0.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (!message_.empty()) return;
    line_ = line;
    column_ = column;
    message_ = message;
  }

  absl::Status ToStatus(absl::string_view text, absl::string_view source, TextErrors errors) const {
    if (message_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": not a text-format message"));
    }
    std::string place{source};
    if (line_ >= 0) absl::StrAppend(&place, ":", line_ + 1, ":", column_ + 1);
    if (errors == TextErrors::kPlaceOnly) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": cannot be read; the text is not shown, for it may be secret"));
    }
    absl::StrAppend(&place, ": ", message_);
    if (line_ < 0) return absl::InvalidArgumentError(place);
    const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
    if (static_cast<size_t>(line_) < lines.size()) {
      const absl::string_view line = absl::StripAsciiWhitespace(lines[line_]);
      if (!line.empty()) absl::StrAppend(&place, ", in line `", line, "`");
      if (line.empty() && static_cast<size_t>(line_) + 1 == lines.size()) {
        absl::StrAppend(&place, ", at the end of the text");
      }
    }
    return absl::InvalidArgumentError(place);
  }

 private:
  int line_ = -1;
  int column_ = 0;
  std::string message_;
};

}  // namespace

absl::Status ParseTextProto(absl::string_view text, absl::string_view source,
                            google::protobuf::Message& message, TextErrors errors) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(std::string(text), &message)) return absl::OkStatus();
  return error.ToStatus(text, source, errors);
}

absl::Status ReadTextProtoFile(const std::string& path, google::protobuf::Message& message,
                               TextErrors errors) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened: ", std::strerror(errno)));
  }
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  return ParseTextProto(text, path, message, errors);
}

}  // namespace skein

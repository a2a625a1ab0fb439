// JSON as it is written, also of what is not meant to be text.
#include "proxy/admin/json.h"

#include <gtest/gtest.h>

#include <cmath>

namespace corral::admin {
namespace {

std::string written(std::string_view text) { return JsonWriter().value(text).take(); }

TEST(JsonTest, CommasAreBetweenValuesOnly) {
  JsonWriter json;
  json.begin_object().field("a", 1).key("b").begin_array().end_array().key("c").begin_array().value(true).value("x");
  json.begin_object().end_object().end_array().field("d", std::optional<double>()).end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":[],"c":[true,"x",{}],"d":null})");
}

TEST(JsonTest, Numbers) {
  JsonWriter json;
  json.begin_array().value(UINT64_MAX).value(-1).value(0.5).value(1e9).value(NAN).value(INFINITY).end_array();
  EXPECT_EQ(json.take(), "[18446744073709551615,-1,0.5,1e+09,null,null]");
}

TEST(JsonTest, WhatHasAMeaningIsEscaped) {
  EXPECT_EQ(written("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(written(std::string_view("\0\n\x7f", 3)), R"("\u0000\u000a\u007f")");
  EXPECT_EQ(written("</script>"), R"("</script>")");
}

TEST(JsonTest, Utf8StaysAndOtherBytesAreTold) {
  for (const char* text : {"é", "€", "😀", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(written(text), '"' + std::string(text) + '"');
  }
  EXPECT_EQ(written("a\xff"
                    "b"),
            R"("a\\xffb")");
  EXPECT_EQ(written("\xC0\x80"), R"("\\xc0\\x80")") << "longer than it need be";
  EXPECT_EQ(written("\xE0\x80\x80"), R"("\\xe0\\x80\\x80")") << "likewise";
  EXPECT_EQ(written("\xED\xA0\x80"), R"("\\xed\\xa0\\x80")") << "a surrogate";
  EXPECT_EQ(written("\xF4\x90\x80\x80"), R"("\\xf4\\x90\\x80\\x80")") << "beyond the last character";
  EXPECT_EQ(written("\xE2\x82"), R"("\\xe2\\x82")") << "cut";
  EXPECT_EQ(written("\x80"), R"("\\x80")");
}

}  // namespace
}  // namespace corral::admin

// CLIENT PAUSE: who waits and for how long. MONITOR: what is shown, to whom, and what is kept secret.
#include "proxy/core/gate.h"

#include <gtest/gtest.h>

#include "proxy/core/command_names.h"
#include "proxy/core/parsed_request.h"
#include "resp/reply_builder.h"
#include "stage.h"

namespace corral::core {
namespace {

void pause(Stage& stage, ClientPause::Kind kind, uint32_t ms, std::set<std::string> reading_functions = {}) {
  ClientPause wanted;
  wanted.kind = kind;
  wanted.end_ms = stage.now_ms + ms;
  wanted.reading_functions = std::make_shared<const std::set<std::string>>(std::move(reading_functions));
  stage.turn([&] {
    stage.process.pause_clients(wanted, stage.now_ms);
    stage.worker.gate().update();
  });
}

void unpause(Stage& stage) {
  stage.turn([&] {
    stage.process.unpause_clients();
    stage.worker.gate().update();
  });
}

constexpr auto kWrites = ClientPause::Kind::kWrites;
constexpr auto kAll = ClientPause::Kind::kAll;

std::string request(std::initializer_list<std::string_view> words) {
  std::string bytes;
  resp::append_command(bytes, words);
  return bytes;
}

TEST(Gate, PausedWritesWaitAndReadsDoNot) {
  Stage stage;
  const auto writer = stage.connect_client(), reader = stage.connect_client();
  pause(stage, kWrites, 1000);
  stage.client_sends(reader, "GET bar\r\nPING\r\n");
  stage.client_sends(writer, "SET bar 1\r\n");
  stage.accept(kNodeA);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"GET bar"});
  EXPECT_TRUE(writer.session->is_blocked());
  EXPECT_FALSE(reader.session->is_blocked());
  unpause(stage);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"SET bar 1"});
  EXPECT_FALSE(writer.session->is_blocked());
}

TEST(Gate, PauseEndsByItself) {
  Stage stage;
  const auto client = stage.connect_client();
  pause(stage, kAll, 500);
  stage.client_sends(client, "PING\r\n");
  stage.pass(490);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(20);
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
  stage.client_sends(client, "PING\r\n");
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
  EXPECT_FALSE(stage.worker.gate().busy());
}

TEST(Gate, LaterPauseNeitherShortensNorWeakensTheOneBefore) {
  Stage stage;
  const auto client = stage.connect_client();
  pause(stage, kAll, 1000);
  pause(stage, kWrites, 100);
  stage.client_sends(client, "PING\r\n");
  stage.pass(900);
  EXPECT_EQ(stage.received(client), "");
  pause(stage, kWrites, 1000);
  stage.pass(900);
  EXPECT_EQ(stage.received(client), "");
  stage.pass(110);
  EXPECT_EQ(stage.received(client), "+PONG\r\n");
}

TEST(Gate, WhatIsRefusedIsRefusedAtOnce) {
  Stage stage;
  const auto client = stage.connect_client();
  pause(stage, kWrites, 1000);
  stage.client_sends(client, "SET bar\r\n");
  EXPECT_EQ(stage.received(client), "-ERR wrong number of arguments for 'set' command\r\n");
}

TEST(Gate, TransactionWaitsIfItWrites) {
  Stage stage;
  const auto client = stage.connect_client();
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\n");
  EXPECT_EQ(stage.received(client), "+OK\r\n+QUEUED\r\n");
  pause(stage, kWrites, 1000);
  stage.client_sends(client, "EXEC\r\n");
  EXPECT_TRUE(client.session->is_blocked());
  const auto reader = stage.connect_client();
  stage.client_sends(reader, "MULTI\r\nGET bar\r\nEXEC\r\n");
  EXPECT_FALSE(reader.session->is_blocked());
}

TEST(Gate, ScriptsAndFunctionsThatSayTheyDoNotWriteAreBelieved) {
  Stage stage;
  pause(stage, kWrites, 1000, {"reads"});
  const auto blocked = [&](std::initializer_list<std::string_view> words) {
    const auto client = stage.connect_client();
    stage.client_sends(client, request(words));
    return client.session->is_blocked();
  };
  EXPECT_TRUE(blocked({"EVAL", "return 1", "0"}));
  EXPECT_TRUE(blocked({"EVAL", "#!lua\nreturn 1", "0"}));
  EXPECT_FALSE(blocked({"EVAL", "#!lua flags=allow-oom,no-writes\nreturn 1", "0"}));
  EXPECT_FALSE(blocked({"EVAL_RO", "return 1", "0"}));
  EXPECT_TRUE(blocked({"EVALSHA", std::string(40, 'a'), "0"}));
  EXPECT_FALSE(blocked({"FCALL", "reads", "0"}));
  EXPECT_TRUE(blocked({"FCALL", "writes", "0"}));
  EXPECT_TRUE(blocked({"PUBLISH", "channel", "message"}));
  EXPECT_TRUE(blocked({"PFCOUNT", "bar"}));
}

TEST(Gate, ClientThatGoesAwayWhilePausedIsForgotten) {
  Stage stage;
  const auto client = stage.connect_client();
  pause(stage, kAll, 1000);
  stage.client_sends(client, "PING\r\n");
  stage.client_fails(client);
  unpause(stage);
}

Stage::Client watching_client(Stage& stage) {
  const auto client = stage.connect_client();
  stage.turn([&] {
    stage.process.board(stage.worker.index()).monitors.fetch_add(1);
    stage.worker.gate().update();
    stage.worker.gate().add_monitor(*client.session);
  });
  return client;
}

TEST(Gate, MonitorSeesWhatOthersSend) {
  Stage stage;
  const auto monitor = watching_client(stage);
  const auto client = stage.connect_client();
  stage.client_sends(client, "GET bar\r\nget\r\nNOSUCH\r\nCONFIG GET x\r\n");
  EXPECT_EQ(stage.received(monitor), "+1700000000.000000 [0 192.0.2.1:1000] \"GET\" \"bar\"\r\n");
}

TEST(Gate, MonitorSeesWhatScriptsDoAndNothingElseOfWhatANodeShows) {
  Stage stage;
  const auto monitor = watching_client(stage);
  bool ready = false;
  stage.turn([&] { stage.worker.gate().watch_scripts([&] { ready = true; }); });
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  EXPECT_EQ(stage.taken(kNodeA), Commands{"MONITOR"});
  stage.answer(kNodeA, "+OK\r\n");
  EXPECT_FALSE(ready);
  stage.answer(kNodeB, "+OK\r\n");
  EXPECT_TRUE(ready);
  stage.answer(kNodeB, "+1.1 [0 1.2.3.4:5] \"eval\" \"[0 lua]\"\r\n+1.2 [0 lua] \"set\" \"foo\" \"]\"\r\n");
  EXPECT_EQ(stage.received(monitor), "+1.2 [0 lua] \"set\" \"foo\" \"]\"\r\n");
  stage.lose(kNodeA);
  stage.pass(1100);
  EXPECT_TRUE(stage.has_link(kNodeA)) << "it is asked again";
  stage.client_sends(monitor, "RESET\r\n");
  EXPECT_FALSE(stage.has_link(kNodeA));
  EXPECT_FALSE(stage.has_link(kNodeB));
}

TEST(Gate, MonitorDoesNotWaitForANodeThatHangs) {
  Stage stage;
  const auto monitor = watching_client(stage);
  int ready = 0;
  stage.turn([&] { stage.worker.gate().watch_scripts([&] { ++ready; }); });
  stage.accept(kNodeA);
  stage.accept(kNodeB);
  stage.answer(kNodeA, "+OK\r\n");
  stage.pass(4900);
  EXPECT_EQ(ready, 0);
  stage.pass(200);
  EXPECT_EQ(ready, 1);
  stage.answer(kNodeB, "+OK\r\n+1.2 [0 lua] \"get\" \"foo\"\r\n");
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(stage.received(monitor), "+1.2 [0 lua] \"get\" \"foo\"\r\n") << "what it shows comes when it does";
}

TEST(Gate, MonitorSeesATransactionWhenItIsExecuted) {
  Stage stage;
  const auto monitor = watching_client(stage);
  const auto client = stage.connect_client();
  const std::string head = "+1700000000.000000 [0 192.0.2.1:1000] ";
  stage.client_sends(client, "MULTI\r\nSET bar 1\r\n");
  EXPECT_EQ(stage.received(monitor), head + "\"MULTI\"\r\n");
  stage.client_sends(client, "EXEC\r\n");
  EXPECT_EQ(stage.received(monitor), head + "\"SET\" \"bar\" \"1\"\r\n" + head + "\"EXEC\"\r\n");
}

TEST(Gate, MonitorMayNotUseTheKeyspaceAndIsLeftByReset) {
  Stage stage;
  const auto monitor = watching_client(stage);
  stage.client_sends(monitor, "GET bar\r\n");
  EXPECT_EQ(stage.received(monitor), "-ERR Replica can't interact with the keyspace\r\n");
  stage.client_sends(monitor, "RESET\r\n");
  EXPECT_EQ(stage.received(monitor), "+RESET\r\n");
  EXPECT_EQ(stage.process.monitors(), 0u);
  EXPECT_FALSE(stage.worker.gate().busy());
}

TEST(Gate, MonitorThatDoesNotReadIsClosed) {
  config::Settings settings;
  settings.limits.subscriber_output_bytes = 1000;
  Stage stage(settings);
  const auto monitor = watching_client(stage);
  stage.give_room(monitor, 0);
  const auto client = stage.connect_client();
  for (int i = 0; i < 50 && !monitor.socket->closed; ++i) {
    stage.client_sends(client, "PING\r\n");
  }
  EXPECT_TRUE(monitor.socket->closed);
  EXPECT_EQ(stage.process.monitors(), 0u);
}

std::string shown(std::initializer_list<std::string_view> words) {
  Stage stage;
  const std::string bytes = request(words);
  const ParsedRequest parsed(stage.worker, bytes);
  return monitor_line(1'700'000'000'000'007, "c", 0, parsed.command(), *parsed.spec());
}

TEST(Gate, MonitorLineIsQuotedAndHidesPasswords) {
  const std::string head = "+1700000000.000007 [0 c] ";
  EXPECT_EQ(shown({"ECHO", "a \"b\"\\\r\n\x01\xff"}), head + "\"ECHO\" \"a \\\"b\\\"\\\\\\r\\n\\x01\\xff\"\r\n");
  EXPECT_EQ(shown({"auth", "me", "secret"}), head + "\"auth\" \"(redacted)\" \"(redacted)\"\r\n");
  EXPECT_EQ(shown({"HELLO", "3", "AUTH", "me", "x", "SETNAME", "n"}),
            head + "\"HELLO\" \"3\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"n\"\r\n");
  EXPECT_EQ(shown({"MIGRATE", "h", "1", "key", "0", "5", "AUTH2", "me", "x"}),
            head + "\"MIGRATE\" \"h\" \"1\" \"key\" \"0\" \"5\" \"AUTH2\" \"(redacted)\" \"(redacted)\"\r\n");
  EXPECT_EQ(shown({"CONFIG", "SET", "maxmemory", "1", "MasterAuth", "x"}),
            head + "\"CONFIG\" \"SET\" \"maxmemory\" \"1\" \"MasterAuth\" \"(redacted)\"\r\n");
}

TEST(Gate, FirstLineOfAScriptTellsWhetherItWrites) {
  EXPECT_TRUE(declares_no_writes("#!lua flags=no-writes\nreturn 1"));
  EXPECT_TRUE(declares_no_writes("#!lua name=x flags=allow-stale,no-writes"));
  EXPECT_FALSE(declares_no_writes("#!lua\nreturn 'flags=no-writes'"));
  EXPECT_FALSE(declares_no_writes("#!lua flags=no-writes-at-all\n"));
  EXPECT_FALSE(declares_no_writes("return 1 -- flags=no-writes"));
  EXPECT_FALSE(declares_no_writes(""));
}

}  // namespace
}  // namespace corral::core

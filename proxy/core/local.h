// What the files of local commands share. A local command's function gives the reply (or none: CLIENT REPLY OFF).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/session.h"
#include "proxy/core/worker.h"
#include "resp/ascii.h"
#include "resp/command.h"

namespace corral::core {

using LocalFunction = void (*)(Session&, const resp::Command&);

// local_connection.cc
void local_ping(Session&, const resp::Command&);
void local_echo(Session&, const resp::Command&);
void local_quit(Session&, const resp::Command&);
void local_reset(Session&, const resp::Command&);
void local_select(Session&, const resp::Command&);
bool parse_int(std::string_view text, int64_t& value);
/// Another protocol or database for the session, and what tracks for it.
void set_link_kind(Session& session, LinkKind kind);

// local_auth.cc
void local_hello(Session&, const resp::Command&);
void local_auth(Session&, const resp::Command&);

// local_client.cc
void local_client_id(Session&, const resp::Command&);
void local_client_info(Session&, const resp::Command&);
void local_client_list(Session&, const resp::Command&);
void local_client_kill(Session&, const resp::Command&);
void local_client_setname(Session&, const resp::Command&);
void local_client_getname(Session&, const resp::Command&);
void local_client_setinfo(Session&, const resp::Command&);
void local_client_no_evict(Session&, const resp::Command&);
void local_client_reply(Session&, const resp::Command&);
void local_client_unblock(Session&, const resp::Command&);
void local_client_help(Session&, const resp::Command&);
void local_client_no_touch(Session&, const resp::Command&);  // local_client_modes.cc, as all that follow
void local_client_pause(Session&, const resp::Command&);
void local_client_unpause(Session&, const resp::Command&);
void local_monitor(Session&, const resp::Command&);
/// Sets the name if it is allowed; otherwise replies with the error and returns false.
bool set_client_name(Session& session, std::string_view name);

// local_tracking.cc
void local_client_tracking(Session&, const resp::Command&);
void local_client_caching(Session&, const resp::Command&);
void local_client_getredir(Session&, const resp::Command&);
void local_client_trackinginfo(Session&, const resp::Command&);

// local_cluster.cc
void local_cluster_info(Session&, const resp::Command&);
void local_cluster_slots(Session&, const resp::Command&);
void local_cluster_shards(Session&, const resp::Command&);
void local_cluster_nodes(Session&, const resp::Command&);
void local_cluster_keyslot(Session&, const resp::Command&);
void local_cluster_myid(Session&, const resp::Command&);
void local_cluster_help(Session&, const resp::Command&);

// local_info.cc
void local_info(Session&, const resp::Command&);

// local_merged.cc
void local_slowlog_get(Session&, const resp::Command&);
void local_slowlog_len(Session&, const resp::Command&);
void local_latency_latest(Session&, const resp::Command&);
void local_latency_history(Session&, const resp::Command&);
void local_latency_histogram(Session&, const resp::Command&);
void local_memory_stats(Session&, const resp::Command&);
void local_longest_text(Session&, const resp::Command&);

// local_config.cc
void local_config_get(Session&, const resp::Command&);

// local_acl.cc
void local_acl_whoami(Session&, const resp::Command&);
void local_acl_cat(Session&, const resp::Command&);
void local_acl_list(Session&, const resp::Command&);
void local_acl_users(Session&, const resp::Command&);
void local_acl_getuser(Session&, const resp::Command&);
void local_acl_genpass(Session&, const resp::Command&);
void local_acl_dryrun(Session&, const resp::Command&);
void local_acl_log(Session&, const resp::Command&);
void local_acl_change(Session&, const resp::Command&);
void local_acl_file(Session&, const resp::Command&);
void local_acl_help(Session&, const resp::Command&);

// local_corral.cc
/// Of a map: a name and a number.
void append_count(std::string& out, std::string_view name, uint64_t value);
void local_corral_help(Session&, const resp::Command&);
void local_corral_stats(Session&, const resp::Command&);
void local_corral_topology(Session&, const resp::Command&);
void local_corral_reload(Session&, const resp::Command&);
void local_corral_rules(Session&, const resp::Command&);
void local_corral_rule(Session&, const resp::Command&);
void local_corral_cache(Session&, const resp::Command&);
void local_corral_hot_keys(Session&, const resp::Command&);
void local_corral_big_keys(Session&, const resp::Command&);
void local_corral_slow_log(Session&, const resp::Command&);
void local_corral_leases(Session&, const resp::Command&);

/// Of CORRAL's subcommands: the names of keys are data, so only who may read all of them is told. False: the error has
/// been given.
bool may_know_keys(Session& session, const resp::Command& command);

using resp::same_word;

/// A subcommand has more arguments than any of its forms.
void reply_subcommand_syntax(Session& session, const resp::Command& command);

/// "SUBCOMMAND <arg>", "    what it does" ... as Redis' HELP subcommands answer.
void reply_help(Session& session, std::string_view container, std::initializer_list<std::string_view> lines);

/// Asks every worker, on its own thread, and gives all answers, in the workers' order, to `done` on this worker's.
template <typename T>
void ask_all_workers(Worker& home, std::function<T(Worker&)> ask, std::function<void(std::vector<T>)> done) {
  struct Gathered {
    std::vector<T> answers;
    uint32_t awaited;
    std::function<void(std::vector<T>)> done;
  };
  const uint32_t workers = home.process().workers();
  auto gathered = std::make_shared<Gathered>(Gathered{std::vector<T>(workers), workers, std::move(done)});
  for (uint32_t i = 0; i < workers; ++i) {
    home.transport().post(i, [gathered, ask, i, back = home.index()](Worker& worker) {
      worker.transport().post(back, [gathered, i, answer = ask(worker)](Worker&) mutable {
        gathered->answers[i] = std::move(answer);
        if (--gathered->awaited == 0) gathered->done(std::move(gathered->answers));
      });
    });
  }
}

}  // namespace corral::core

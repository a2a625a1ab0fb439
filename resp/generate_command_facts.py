#!/usr/bin/env python3
"""Writes command_facts.inc: what a running Redis says about its own commands (COMMAND, ACL CAT, INFO server).

Usage, from the root of the repository:
    redis-server --port 7777 --save '' --daemonize yes
    python3 resp/generate_command_facts.py 7777 > resp/command_facts.inc
    redis-cli -p 7777 shutdown nosave

The output depends on the server's version only. A flag or a form that is not known here ends the program: the table must
not lose what a newer server says.
"""
import socket
import sys

# The bits of CommandFlag and KeyFlag in command_table.h, by the names that COMMAND uses.
COMMAND_FLAGS = {
    'write': 'Write', 'readonly': 'ReadOnly', 'denyoom': 'DenyOom', 'admin': 'Admin', 'pubsub': 'PubSub',
    'noscript': 'NoScript', 'blocking': 'Blocking', 'loading': 'Loading', 'stale': 'Stale',
    'skip_monitor': 'SkipMonitor', 'skip_slowlog': 'SkipSlowlog', 'asking': 'Asking', 'fast': 'Fast',
    'no_auth': 'NoAuth', 'may_replicate': 'MayReplicate', 'no_mandatory_keys': 'NoMandatoryKeys',
    'no_multi': 'NoMulti', 'movablekeys': 'MovableKeys', 'allow_busy': 'AllowBusy',
    'no_async_loading': 'NoAsyncLoading',
}
KEY_FLAGS = {
    'RO': 'Ro', 'RW': 'Rw', 'OW': 'Ow', 'RM': 'Rm', 'access': 'Access', 'update': 'Update', 'insert': 'Insert',
    'delete': 'Delete', 'not_key': 'NotKey', 'incomplete': 'Incomplete', 'variable_flags': 'Variable',
}


class Server:
    def __init__(self, port):
        self.stream = socket.create_connection(('127.0.0.1', port)).makefile('rwb')

    def ask(self, *args):
        request = b'*%d\r\n' % len(args) + b''.join(b'$%d\r\n%s\r\n' % (len(a), a.encode()) for a in args)
        self.stream.write(request)
        self.stream.flush()
        return self.read()

    def read(self):
        line = self.stream.readline()[:-2].decode()
        kind, rest = line[0], line[1:]
        if kind == '-':
            sys.exit(f'the server says: {rest}')
        if kind == '*':
            return [self.read() for _ in range(int(rest))]
        if kind == '$':
            return self.stream.read(int(rest) + 2)[:-2].decode()
        return int(rest) if kind == ':' else rest


def as_dict(pairs):
    return dict(zip(pairs[::2], pairs[1::2]))


def bits(prefix, names, known):
    """The or of named bits, in the order of the header."""
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f'unknown flags: {unknown}')
    return ' | '.join(prefix + text for name, text in known.items() if name in names) or '0'


def key_spec(pairs):
    spec = as_dict(pairs)
    begin, find = as_dict(spec['begin_search']), as_dict(spec['find_keys'])
    at, how = as_dict(begin['spec']), as_dict(find['spec'])
    fields = {
        'index': lambda: ['kIndex', at['index'], '""'],
        'keyword': lambda: ['kKeyword', at['startfrom'], f'"{at["keyword"]}"'],
        'unknown': lambda: ['kUnknown', 0, '""'],
    }[begin['type']]()
    found = {
        'range': lambda: ['kRange', how['lastkey'], how['keystep'], how['limit'], 0, 0],
        'keynum': lambda: ['kKeyNum', 0, how['keystep'], 0, how['keynumidx'], how['firstkey']],
        'unknown': lambda: ['kUnknown', 0, 1, 0, 0, 0],
    }[find['type']]()
    head = [f'Begin::{fields[0]}', f'Find::{found[0]}', bits('kKey', spec['flags'], KEY_FLAGS)]
    return '{' + ', '.join(str(x) for x in head + fields[1:] + found[1:]) + '}'


def main():
    server = Server(int(sys.argv[1]))
    version = as_dict(sum([line.split(':', 1) for line in server.ask('INFO', 'server').splitlines() if ':' in line], []))
    categories = {name: f'kIn{name.capitalize()}' for name in server.ask('ACL', 'CAT')}
    specs, rows = [], []

    def add(info):
        name, arity, flags, first, last, step, groups, _tips, keys, subcommands = info
        lines = [key_spec(key) for key in keys]
        # Commands with the same specs share them: the place of `lines` in `specs`, appended if it is not there yet.
        place = next((i for i in range(len(specs) - len(lines) + 1) if specs[i:i + len(lines)] == lines), len(specs))
        if place == len(specs):
            specs.extend(lines)
        groups = bits('', [group[1:] for group in groups], categories)
        rows.append(f'{{"{name}", {arity}, {bits("kFlag", flags, COMMAND_FLAGS)}, {groups}, '
                    f'{first}, {last}, {step}, {place if lines else 0}, {len(lines)}}}')
        for subcommand in sorted(subcommands):
            add(subcommand)

    for command in sorted(server.ask('COMMAND')):
        add(command)

    print(f'// Made by generate_command_facts.py from Redis {version["redis_version"]}: do not edit.')
    print('\nconstexpr std::string_view kCategories[] = {')
    print('    ' + ', '.join(f'"{name}"' for name in categories) + '};')
    print('enum Category : uint32_t {')
    print(''.join(f'  {text} = 1u << {i},\n' for i, text in enumerate(categories.values())) + '};')
    for title, lines in (('KeySpec kFactKeys', specs), ('Fact kFacts', rows)):
        print(f'\nconstexpr {title}[] = {{')
        print(''.join(f'    {line},\n' for line in lines) + '};')


main()

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Jump, readProxyJump } from "../../../common/ssh/proxyJump.ts";

test("bastions are read as OpenSSH's ProxyJump names them", () => {
  const rows: [string, Jump[] | undefined][] = [
    ["bastion", [{ host: "bastion" }]],
    ["jump@bastion.example.com:2200", [{ host: "bastion.example.com", user: "jump", port: 2200 }]],
    ["ssh://jump@bastion:2200", [{ host: "bastion", user: "jump", port: 2200 }]],
    ["root@[2001:db8::1]:22", [{ host: "2001:db8::1", user: "root", port: 22 }]],
    ["a,jump@b:2200, c", [{ host: "a" }, { host: "b", user: "jump", port: 2200 }, { host: "c" }]],
    ["me@example.com@bastion", [{ host: "bastion", user: "me@example.com" }]],
    ["", undefined],
    ["a,", undefined],
    ["a b", undefined],
    ["a:port", undefined],
    ["a:70000", undefined],
    ["2001:db8::1", undefined],
    ["@a", undefined],
    ["a/b", undefined],
  ];
  for (const [text, jumps] of rows) assert.deepEqual(readProxyJump(text), jumps, text);
});

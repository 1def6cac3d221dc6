import assert from "node:assert/strict";
import { test } from "node:test";
import { debianMirror } from "../../sandbox/host/debian.ts";

const MAIN = "Packages\tDebian\thttp://mirror.example/debian/";
const OTHERS = [
  "DEP-11\tDebian\thttp://icons.example/debian/",
  "Packages\tDebian-Security\thttp://security.example/debian-security/",
  "Packages\tUbuntu\thttp://ubuntu.example/ubuntu/",
  "Packages\tDebian\tmirror+file:/etc/apt/mirrors.txt",
  "Packages\tDebian\tcdrom://Debian/",
];

test("the mirror is that of Debian's main archive, in whatever order apt names its sources", () => {
  const expected = "http://mirror.example/debian/";
  assert.equal(debianMirror([MAIN, ...OTHERS].join("\n")), expected);
  assert.equal(debianMirror([...OTHERS, MAIN].join("\n")), expected);
});

test("on a machine of another system, or without lists, the choice is debootstrap's", () => {
  assert.equal(debianMirror(OTHERS.join("\n")), undefined);
  assert.equal(debianMirror(""), undefined);
});

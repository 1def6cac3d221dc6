import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { beginHeader } from "../../../agent/streams/encrypt.ts";
import {
  chunksOf,
  describeExit,
  readText,
  runPipeline,
  runProgram,
} from "../../../agent/streams/process.ts";
import { formatRecipient, publicKeyOf } from "../../../common/age/keys.ts";
import { release } from "../../../common/releaseBuffer.ts";

const run = (first: string, second: string, secret?: string) =>
  runPipeline(first, second, {
    args: ["one"],
    env: process.env,
    stdin: "ignore",
    ...(secret !== undefined && { secret }),
  });

async function readAll(source: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const chunk of source) text += String(chunk);
  return text;
}

describe("runPipeline", () => {
  it("keeps the output of programs that ended before anyone began to read", async () => {
    const { stdout, ended } = run('printf "%s two" "$1"', "cat");
    // Node gives up unread output when the child's end is noticed, so it must have been.
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await readAll(stdout), "one two");
    assert.deepEqual(await ended, {
      first: { code: 0, stderr: "" },
      second: { code: 0, stderr: "" },
    });
  });

  it("hands a secret to the first program alone", async () => {
    const { stdout } = run(
      "cat <&5",
      "sh -c 'cat; ls -l /proc/self/fd | grep -c \" 5 ->\"'",
      "word",
    );
    assert.equal(await readAll(stdout), "word\n0\n");
  });

  it("has both exit codes", async () => {
    const { stdout, ended } = run("sh -c 'echo no >&2; exit 3'", "sh -c 'cat; exit 4'");
    await readAll(stdout);
    const { first, second } = await ended;
    assert.deepEqual([first.code, first.stderr, second.code], [3, "no", 4]);
  });
});

describe("the arguments and the end of a pipeline", () => {
  const run = async (first: string, second: string) => {
    const env = { PATH: process.env["PATH"] };
    const pipeline = runPipeline(first, second, { args: ["a b", "$c"], env, stdin: "ignore" });
    let out = "";
    for await (const chunk of pipeline.stdout.setEncoding("utf8")) out += chunk;
    return { out, ...(await pipeline.ended) };
  };

  it("passes arguments whole and has both exit codes and both errors", async () => {
    const { out, first, second } = await run(
      'sh -c \'printf "%s|" "$@"; echo one >&2; exit 3\' x "$@"',
      "sh -c 'cat; echo two >&2; exit 4'",
    );
    assert.equal(out, "a b|$c|");
    assert.deepEqual(first, { code: 3, stderr: "one" });
    assert.deepEqual(second, { code: 4, stderr: "two" });
  });

  it("distinguishes a signal from an exit", async () => {
    const { first, second } = await run("sh -c 'kill -9 $$'", "cat");
    assert.equal(first.code, 137);
    assert.equal(second.code, 0);
  });

  it("ends both when killed, and then knows no exit code", async () => {
    const env = { PATH: process.env["PATH"] };
    const pipeline = runPipeline("sleep 60", "sleep 60", { args: [], env, stdin: "ignore" });
    pipeline.stdout.resume();
    pipeline.kill();
    const { first, second } = await pipeline.ended;
    assert.deepEqual([first.code, second.code], [null, null]);
    pipeline.kill();
  });
});

describe("runProgram", () => {
  const start = (text: string) =>
    runProgram(text, { args: ["one"], env: process.env, stdin: "ignore" });

  it("keeps the output of a program that ended before anyone began to read", async () => {
    const { stdout, ended } = start('exec printf "%s two" "$1"');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await readAll(stdout), "one two");
    assert.deepEqual(await ended, { code: 0, stderr: "" });
  });

  it("has the exit code and the last lines, also of one that was killed", async () => {
    const failed = start("exec sh -c 'echo no >&2; exit 3'");
    await readAll(failed.stdout);
    assert.deepEqual(await failed.ended, { code: 3, stderr: "no" });
    const killed = start("exec sleep 60");
    killed.kill();
    assert.equal(describeExit("sleep", await killed.ended), "sleep was killed (signal 9)");
    const missing = start("exec no-such-program");
    await readAll(missing.stdout);
    assert.equal((await missing.ended).code, 127);
  });

  it("ends when it is killed with output that nobody reads any more", {
    timeout: 120_000,
  }, async () => {
    const unread = start("exec yes");
    const begun = start("exec yes");
    const both = run("yes", "cat");
    const chunks = chunksOf(begun.stdout);
    await chunks.next();
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const { kill, ended } of [unread, begun, both]) {
      kill();
      await ended;
    }
    await assert.rejects(async () => {
      for await (const _ of chunks);
    }, /cut off/);
  });
});

describe("readText", () => {
  it("settles with the last piece, also of a program that has ended before", async () => {
    const options = { args: [], env: process.env, stdin: "ignore" } as const;
    const { stdout, ended } = runProgram("exec seq 1 2000", options);
    await ended;
    let text = "";
    await readText(stdout, (piece) => {
      text += piece;
    });
    assert.equal(text.trimEnd().split("\n").length, 2000);
  });

  it("settles when the program is killed", async () => {
    const options = { args: [], env: process.env, stdin: "ignore" } as const;
    const { stdout, kill } = runProgram("exec yes", options);
    const read = readText(stdout, () => {});
    kill();
    await read;
  });
});

describe("chunksOf", () => {
  it("yields everything in order, and each chunk's memory is free after it", async () => {
    const { stdout } = runProgram("exec seq 1 200000", {
      args: [],
      env: process.env,
      stdin: "ignore",
    });
    let text = "";
    const seen: Buffer[] = [];
    for await (const chunk of chunksOf(stdout)) {
      text += String(chunk);
      seen.push(chunk);
    }
    assert.equal(text, `${Array.from({ length: 200_000 }, (_, i) => i + 1).join("\n")}\n`);
    assert(seen.every((chunk) => chunk.length === 0));
  });

  it("fails when the stream does", async () => {
    const { stdout, kill } = runProgram("exec sleep 60", {
      args: [],
      env: process.env,
      stdin: "ignore",
    });
    setTimeout(() => stdout.destroy(new Error("broken")), 50);
    await assert.rejects(readAll(chunksOf(stdout)), /broken/);
    kill();
  });
});

describe("release", () => {
  it("leaves memory alone that others share", () => {
    const whole = Buffer.alloc(1000, 1);
    const slice = whole.subarray(10);
    const pooled = [Buffer.from("one"), Buffer.from("two"), Buffer.allocUnsafe(2000)];
    for (const chunk of [slice, ...pooled]) {
      const bytes = Buffer.from(chunk);
      release(chunk);
      assert.deepEqual(chunk, bytes);
    }
    assert.equal(whole.length, 1000);
    release(whole);
    assert.equal(whole.length, 0);
  });
});

describe("encrypted", () => {
  it("waits for the head before it, so that only one at a time takes a passphrase's memory", async () => {
    const first = Promise.withResolvers<{ header: Buffer; payloadKey: Buffer }>();
    const recipient = formatRecipient(publicKeyOf(randomBytes(32)));
    let made = false;
    const second = beginHeader({ recipients: [recipient] }, first.promise)?.then(() => {
      made = true;
    });
    await sleep(50);
    assert.equal(made, false);
    first.resolve({ header: Buffer.alloc(0), payloadKey: Buffer.alloc(0) });
    await second;
    assert.equal(made, true);
  });
});

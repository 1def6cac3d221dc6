import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChatMessage, chatBody } from "../../../agent/notify/chatMessage.ts";
import { cardTexts, checkSlack, checkTeams } from "./services.ts";

const message: ChatMessage = {
  mood: "bad",
  title: "Backup of shop failed on 192.0.2.10",
  sentences: ["the password of backup is wrong. Correct POSTGRES_PASSWORD."],
  log: ["dumping shop", "412 MB"],
  commands: [["What to mend", "npx kamal-postgres-backup doctor"]],
};

test("Slack's form: title, sentence, command and log in one text", () => {
  const text = checkSlack(chatBody("slack", message));
  assert.equal(
    text,
    [
      "🔴 *Backup of shop failed on 192.0.2.10*",
      "the password of backup is wrong. Correct POSTGRES_PASSWORD.",
      "What to mend: `npx kamal-postgres-backup doctor`",
      "```",
      "dumping shop",
      "412 MB",
      "```",
    ].join("\n"),
  );
});

test("Teams' form: a card, whose text is not read as Markdown", () => {
  const texts = cardTexts(checkTeams(chatBody("teams", message)));
  assert.deepEqual(texts, [
    "🔴 Backup of shop failed on 192.0.2.10",
    "the password of backup is wrong. Correct POSTGRES_PASSWORD.",
    "What to mend",
    "npx kamal-postgres-backup doctor",
    "dumping shop",
    "412 MB",
  ]);
});

test("hostile names wake nobody up, and end no block", () => {
  const hostile = "<!channel> @everyone ``` *x* <https://evil.example|click> & \u0007";
  const named = { ...message, title: hostile, sentences: [hostile], log: [hostile, "```"] };
  const text = checkSlack(chatBody("slack", named));
  assert.doesNotMatch(text, /<|@everyone/);
  assert.equal(text.split("```").length, 3, text);
  assert.match(text, /&lt;!channel&gt;/);
  assert.equal(cardTexts(checkTeams(chatBody("teams", named)))[1], hostile);
});

test("however long it is, it stays within each service's limit, and the newest line of the log is there", () => {
  for (const letter of ["&", "<", "é", "@", "🔴", "a b "]) stays(letter.repeat(4_000));
});

function stays(long: string): void {
  const many = Array.from({ length: 60 }, (_, i) => `"db${i}": ${long}`);
  const log = [
    ...Array.from({ length: 500 }, (_, i) => `line ${i} ${"&".repeat(30)}`),
    "the last one",
  ];
  for (const sentences of [[long], many]) {
    const endless = { ...message, title: long, sentences, log };
    assert.match(checkSlack(chatBody("slack", endless)), /\nthe last one\n```$/);
    assert.equal(cardTexts(checkTeams(chatBody("teams", endless))).at(-1), "the last one");
  }
}

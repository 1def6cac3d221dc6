import assert from "node:assert/strict";

/**
 * Holds a body against what Slack, Mattermost and Discord (at its address with `/slack`) document for their incoming webhooks,
 * the strictest of each: an object with one `text`, which is not empty, of 2000 characters at most (Discord), whose `&`, `<` and
 * `>` are escaped (Slack).
 * @returns the text
 */
export function checkSlack(body: string): string {
  const value = JSON.parse(body);
  assert.deepEqual(Object.keys(value), ["text"]);
  const { text } = value;
  assert.equal(typeof text, "string");
  assert.ok(text.length > 0 && text.length <= 2000, `${text.length} characters`);
  assert.doesNotMatch(text, /[<>]|&(?!(amp|lt|gt);)/);
  return text;
}

interface Card {
  readonly body: readonly {
    readonly type: string;
    readonly inlines: readonly { text: string }[];
  }[];
}

/**
 * The same for a Teams workflow: a message with one adaptive card of a version that Teams shows, 28 KB at most, of elements and
 * properties that the schema of cards has.
 */
export function checkTeams(body: string): Card {
  assert.ok(Buffer.byteLength(body) <= 28 * 1024, `${Buffer.byteLength(body)} bytes`);
  const { type, attachments, ...more } = JSON.parse(body);
  assert.deepEqual([type, attachments.length, more], ["message", 1, {}]);
  const [{ contentType, contentUrl, content }] = attachments;
  assert.equal(contentType, "application/vnd.microsoft.card.adaptive");
  assert.equal(contentUrl, null);
  assert.equal(content.type, "AdaptiveCard");
  assert.match(content.version, /^1\.[0-5]$/);
  const known = new Set(["type", "text", "fontType", "weight", "size", "color"]);
  for (const element of content.body) {
    assert.deepEqual(Object.keys(element), ["type", "inlines"]);
    assert.equal(element.type, "RichTextBlock");
    for (const run of element.inlines) {
      assert.equal(run.type, "TextRun");
      assert.ok(run.text.length > 0);
      for (const name of Object.keys(run)) assert.ok(known.has(name), name);
    }
  }
  return content;
}

export function cardTexts({ body }: Card): string[] {
  return body.flatMap(({ inlines }) => inlines.map(({ text }) => text));
}

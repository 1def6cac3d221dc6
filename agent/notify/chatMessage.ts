import type { WebhookFormat } from "../../common/contracts/agentEnvironment/notifications.ts";

/** What people are to read in a chat. Each text may come from anywhere: the name of a database, a sentence of the server. */
export interface ChatMessage {
  readonly mood: "bad" | "good" | "neutral";
  /** `Backup of shop failed on 192.0.2.10` */
  readonly title: string;
  readonly sentences: readonly string[];
  /** The log's last lines, the newest last. */
  readonly log: readonly string[];
  /** What to type, each with what it is good for. */
  readonly commands: readonly (readonly [purpose: string, command: string])[];
}

/**
 * Characters of a whole message. Discord refuses more than 2000 (https://docs.discord.com/developers/resources/webhook), Slack
 * cuts at 40,000 (https://docs.slack.dev/changelog/2018-truncating-really-long-messages) and Mattermost at 16,383.
 */
const MOST = 1900;
const MOST_TITLE = 200;
const MOST_SENTENCE = 500;
const MOST_LINE = 160;

const SIGN = { bad: "🔴", good: "🟢", neutral: "⚪" } as const;

/**
 * The body in a chat's form.
 * @param format `slack` is understood by Mattermost and by Discord's address that ends with `/slack`, too
 */
export function chatBody(format: Exclude<WebhookFormat, "json">, message: ChatMessage): string {
  const short = shortened(message);
  return JSON.stringify(format === "slack" ? slackBody(short) : teamsBody(short));
}

/** One `text`, since the other parts of Slack's form are not understood elsewhere. */
function slackBody({ mood, title, sentences, log, commands }: ChatMessage): { text: string } {
  const block = (lines: readonly string[]) => `\`\`\`\n${lines.map(inCode).join("\n")}\n\`\`\``;
  const parts = [
    `${SIGN[mood]} *${plain(title)}*`,
    ...sentences.map(plain),
    ...commands.map(([purpose, command]) => `${plain(purpose)}: \`${inCode(command)}\``),
  ];
  const room = MOST - parts.join("\n").length - block([]).length - 1;
  const shown = lastThatFit(log, room);
  return { text: [...parts, ...(shown.length === 0 ? [] : [block(shown)])].join("\n") };
}

/** The newest lines for which there is room. */
function lastThatFit(log: readonly string[], room: number): readonly string[] {
  let left = room;
  const first = log.findLastIndex((line) => {
    left -= inCode(line).length + 1;
    return left < 0;
  });
  return log.slice(first + 1);
}

/**
 * A text as Slack wants it (https://docs.slack.dev/messaging/formatting-message-text): `<!channel>` in a database's name
 * would wake everybody up. Elsewhere `@everyone` would, unless something stands behind the sign.
 */
function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("@", "@\u200b");
}

/** Between words: no code, bold or strike-through begins in it. */
function plain(text: string): string {
  return escaped(text).replace(/[`*~]/g, "'");
}

/** In a block of code: nothing ends it. */
function inCode(text: string): string {
  return escaped(text).replaceAll("`", "'");
}

/**
 * An adaptive card, as a workflow "when a Teams webhook request is received" posts it. Runs of text are shown as they are;
 * a TextBlock would read Markdown in them. A message is refused above 28 KB.
 * https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
 */
function teamsBody({ mood, title, sentences, log, commands }: ChatMessage): object {
  const text = (text: string, more: object = {}) => ({
    type: "RichTextBlock",
    inlines: [{ type: "TextRun", text, ...more }],
  });
  const code = { fontType: "Monospace" };
  const color = { bad: "Attention", good: "Good", neutral: "Default" }[mood];
  return {
    type: "message",
    attachments: [
      {
        contentType: "application/vnd.microsoft.card.adaptive",
        contentUrl: null,
        content: {
          $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
          type: "AdaptiveCard",
          version: "1.4",
          body: [
            text(`${SIGN[mood]} ${title}`, { weight: "Bolder", size: "Medium", color }),
            ...sentences.map((sentence) => text(sentence)),
            ...commands.flatMap(([purpose, command]) => [text(purpose), text(command, code)]),
            ...log.map((line) => text(line, code)),
          ],
        },
      },
    ],
  };
}

/** No part may push the others out. */
function shortened({ title, sentences, log, commands, mood }: ChatMessage): ChatMessage {
  return {
    mood,
    title: cut(title, MOST_TITLE),
    sentences:
      sentences.length > 2
        ? [...sentences.slice(0, 2), `and ${sentences.length - 2} more`].map((one) =>
            cut(one, MOST_SENTENCE / 2),
          )
        : sentences.map((one) => cut(one, MOST_SENTENCE / sentences.length)),
    log: log.slice(-LAST_LINES).map((line) => cut(line, MOST_LINE)),
    commands,
  };
}

/** Lines of the log that a message has at most. */
export const LAST_LINES = 8;

/** Room that a character takes once it is escaped. */
const ROOM: Readonly<Record<string, number>> = { "&": 5, "<": 4, ">": 4, "@": 2 };

function cut(text: string, most: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  let room = most - 1;
  // By whole characters: half of one is no text.
  let end = 0;
  for (const character of line) {
    room -= ROOM[character] ?? character.length;
    if (room < 0) return `${line.slice(0, end)}…`;
    end += character.length;
  }
  return line;
}

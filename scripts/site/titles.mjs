/**
 * A plug-in of typedoc: a page is called by its heading, and not by its file.
 * @typedef {{ name: string; content: { text: string }[] }} Page
 * @param {{ converter: { on(event: "createDocument", listener: (context: unknown, page: Page) => void): void } }} app
 */
export function load(app) {
  app.converter.on("createDocument", (_, page) => {
    // Code in a heading is a part of its own.
    const text = page.content.map((part) => part.text).join("");
    page.name = (/^# (.*)/.exec(text)?.[1] ?? page.name).replaceAll("`", "");
  });
}

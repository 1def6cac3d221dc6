import { createHash } from "node:crypto";
import type { ArchiveIndex } from "../../../common/contracts/manifest.ts";
import { ArchiveParser, UnknownFormat } from "./grammar.ts";

/** Entries with data, of all of which the memory of a backup holds a line; a database of 100,000 tables has no more. */
const MOST_BLOCKS = 100_000;

/**
 * Notes where in an archive the data of each table lies, while pg_dump writes it. An archive that it does not understand has
 * no index, and nothing else comes of it.
 */
export class ArchiveIndexer {
  readonly #digest: Digest | undefined;
  readonly #blocks: ArchiveIndex["blocks"] = [];
  readonly #parser: ArchiveParser;
  #format = "";
  #toc: Pick<ArchiveIndex, "toc" | "tocSha256"> = { toc: 0 };
  #understood = true;

  /** @param digests whether each part gets a SHA-256: where nothing else shows that a part was changed */
  constructor({ digests }: { readonly digests: boolean }) {
    this.#digest = digests ? new Digest() : undefined;
    this.#parser = new ArchiveParser({
      onHead: (format) => {
        this.#format = format;
      },
      onToc: (toc) => {
        const tocSha256 = this.#digest?.cut(this.#parser.at);
        this.#toc = { toc, ...(tocSha256 !== undefined && { tocSha256 }) };
      },
      onBlock: ({ id, bytes, pieces }) => {
        const sha256 = this.#digest?.cut(this.#parser.at);
        this.#blocks.push(sha256 === undefined ? [id, bytes, pieces] : [id, bytes, pieces, sha256]);
        if (this.#blocks.length > MOST_BLOCKS) throw new UnknownFormat();
      },
    });
  }

  /** Takes the next piece of the archive; its memory is not kept. */
  push(piece: Buffer): void {
    if (!this.#understood) return;
    try {
      this.#digest?.begin(piece);
      this.#parser.push(piece);
      this.#digest?.cutOff(piece.length);
    } catch (error) {
      if (!(error instanceof UnknownFormat)) throw error;
      this.#understood = false;
      this.#blocks.length = 0;
    }
  }

  /** At the archive's end. @returns undefined where it was not understood to its last byte */
  index(): ArchiveIndex | undefined {
    if (!this.#understood || !this.#parser.isWhole) return undefined;
    return { version: 1, format: this.#format, ...this.#toc, blocks: this.#blocks };
  }
}

/** SHA-256 of one part after the other, of pieces whose borders are others. */
class Digest {
  #hash = createHash("sha256");
  #piece: Buffer = Buffer.alloc(0);
  #from = 0;

  begin(piece: Buffer): void {
    this.#piece = piece;
    this.#from = 0;
  }

  /** A part ends here. */
  cut(at: number): string {
    this.cutOff(at);
    const digest = this.#hash.digest("hex");
    this.#hash = createHash("sha256");
    return digest;
  }

  /** The part goes on in the next piece. */
  cutOff(at: number): void {
    this.#hash.update(this.#piece.subarray(this.#from, at));
    this.#from = at;
  }
}

/**
 * Gives a chunk's memory back at once: tens of thousands of them waiting for the garbage collector would cost more memory
 * than all part buffers. The chunk is empty afterwards, so nobody may look at it any more.
 *
 * A chunk that shares its memory, such as a slice or one of Node's pool, is left alone: it does not cover its memory from end
 * to end. One read from a pipe or put out by a cipher does, and nobody else has it.
 */
export function release(chunk: Buffer): void {
  const { buffer } = chunk;
  if (buffer instanceof ArrayBuffer && chunk.byteLength === buffer.byteLength) buffer.transfer(0);
}

/**
 * Pulumi's own provider of dynamic resources, started once and attached by each operation (`PULUMI_DEBUG_PROVIDERS`), which would
 * otherwise start it anew, for 0.7 s each time. Pulumi's program refuses to be attached (`attach` in
 * `@pulumi/pulumi/cmd/dynamic-provider`, 3.270), so its service gets an `attach` that accepts; all else is Pulumi's.
 *
 * Prints its port. Ends with its standard input. Its working directory is that of who starts it, as the engine has it for a program run
 * in its own process (inline).
 */
import { createRequire } from "node:module";

type Reply = (error: null, answer: object) => void;

const ofPulumi = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi"));
const { Server } = ofPulumi("@grpc/grpc-js") as {
  Server: { prototype: { addService(definition: object, service: object): unknown } };
};
const { Empty } = ofPulumi("google-protobuf/google/protobuf/empty_pb.js") as {
  Empty: new () => object;
};

const add = Server.prototype.addService;
Server.prototype.addService = function (definition, service) {
  const attach = (_call: unknown, reply: Reply) => reply(null, new Empty());
  return add.call(this, definition, Object.assign(service, { attach }));
};

process.stdin.resume().once("end", () => process.exit());
// It wants the engine's address and never uses it.
process.argv[2] = "127.0.0.1:0";
ofPulumi("@pulumi/pulumi/cmd/dynamic-provider/index.js");

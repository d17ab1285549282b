/*
 * A Leat server of the test's own: the binary LEAT_BIN serving the example chat, on a database made
 * for it in the cluster of LEAT_TEST_DATABASE_URL and dropped again at the end.
 */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const chat = resolve(repository, "lua/apps/chat");
let databases = 0;
let addressFiles = 0;

/**
 * Serves the example, or another app with the schema.sql in its folder; env: further variables of the server.
 * host(database, address): the command, as [program, arguments …], that serves it in place of `leat serve`. It has Leat
 * inside, and says "ready http://ADDRESS".
 */
export async function startServer(app = resolve(chat, "app.lua"), env = {}, host = null) {
  const cluster = required("LEAT_TEST_DATABASE_URL");
  const name = `leat_browser_${process.pid}_${databases++}`;
  await psql(cluster, `create database ${name}`);

  const server = new Server(cluster, name, app, env, host);
  try {
    await server.prepare();
    await server.start();
  } catch (error) {
    await server.stop().catch(() => {});
    throw error;
  }
  return server;
}

/** The one line of a file that another program is about to write; the file is gone afterwards. */
async function appearance(file) {
  for (;;) {
    const text = await readFile(file, "utf8").catch(() => "");
    if (text.endsWith("\n")) {
      await rm(file);
      return text.trim();
    }
    await pause(20);
  }
}

/** The address that a host says, on its standard output. */
async function announced(child) {
  for await (const line of createInterface(child.stdout)) {
    const said = /^ready http:\/\/(\S+)$/.exec(line);
    if (said) return said[1];
  }
  throw new Error("the host said no address");
}

class Server {
  #app;
  #cluster;
  #env;
  #host;
  #name;
  #database;
  #child = null;
  #listen = "127.0.0.1:0";
  #log = [];

  constructor(cluster, name, app, env, host) {
    this.#host = host;
    this.#app = app;
    this.#env = env;
    this.#cluster = cluster;
    this.#name = name;
    this.#database = withDatabase(cluster, name);
  }

  get url() {
    return `http://${this.#listen}/`;
  }

  /** What the pattern finds in a line of the log; waits for the line. */
  async logged(pattern) {
    for (;;) {
      const found = this.#log.map((line) => pattern.exec(line)).find(Boolean);
      if (found) return found;
      await pause(20);
    }
  }

  /** Runs SQL in one transaction, past the server, and returns what psql printed. */
  sql(text) {
    return psql(this.#database, text);
  }

  async prepare() {
    const env = this.#environment();
    await run(required("LEAT_BIN"), ["migrate"], { env, cwd: repository });
    await run("psql", [...QUIETLY, "-f", resolve(dirname(this.#app), "schema.sql"), this.#database]);
  }

  /** Starts it; again on the same port once it has ended. */
  async start() {
    const file = join(tmpdir(), `leat-address-${process.pid}-${++addressFiles}`);
    const [command, ...options] = this.#host
      ? this.#host(this.#database, this.#listen)
      : [required("LEAT_BIN"), "serve", "--app", this.#app, "--listen", this.#listen, "--address-file", file];
    const stdio = ["ignore", this.#host ? "pipe" : "inherit", "pipe"];
    const env = this.#environment();
    this.#child = spawn(command, options, { env, stdio, cwd: repository });

    const lines = createInterface(this.#child.stderr);
    lines.on("line", (line) => {
      this.#log = [...this.#log, line].slice(-200);
    });
    const died = once(this.#child, "exit").then(([code, signal]) => {
      throw new Error(`the server ended (${signal ?? code}):\n${this.#log.join("\n")}`);
    });
    died.catch(() => {}); // it is expected to, later
    const address = this.#host ? announced(this.#child) : appearance(file);
    this.#listen = await Promise.race([address, died]);
  }

  /** A crash. */
  crash() {
    return this.#end("SIGKILL");
  }

  /** An orderly end: a server that does not exit with 0, for a leak say, fails the test. */
  async shutDown() {
    const code = await this.#end("SIGTERM");
    if (code !== 0) throw new Error(`the server exited with ${code}:\n${this.#log.join("\n")}`);
  }

  async stop() {
    if (this.#child) await this.shutDown();
    await psql(this.#cluster, `drop database ${this.#name} with (force)`);
  }

  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode; // by itself
    const gone = once(child, "exit");
    child.kill(signal);
    const [code] = await gone;
    return code;
  }

  #environment() {
    return { ...process.env, ...this.#env, LEAT_DATABASE_URL: this.#database };
  }
}

const QUIETLY = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"];

async function psql(database, text) {
  const { stdout } = await run("psql", [...QUIETLY, "-c", text, database]);
  return stdout.trim();
}

// A URL, or libpq's keywords and values, of which the last one counts.
function withDatabase(url, name) {
  if (!/^postgres(ql)?:\/\//.test(url)) return `${url} dbname=${name}`;
  return url.replace(/^([^/]*\/\/[^/?]*)(\/[^?]*)?/, `$1/${name}`);
}

function required(variable) {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: scripts/test does it`);
  return value;
}

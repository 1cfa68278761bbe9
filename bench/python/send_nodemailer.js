// send_nodemailer.js PORT MESSAGES CONNECTIONS MAIL.json: nodemailer with its pool. MAIL.json: the letter, of which marks are filled.
const fs = require("fs");
const net = require("net");
const nodemailer = require("nodemailer");

const [port, count, connections] = process.argv.slice(2, 5).map(Number);
const {sender, listId, subject, text} = JSON.parse(fs.readFileSync(process.argv[5]));
const fill = (template, name, city, points) =>
  template.replaceAll("{{ name }}", name).replaceAll("{{ city }}", city).replaceAll("{{ points }}", points);

const begun = process.hrtime.bigint();
const before = process.cpuUsage();
const transport = nodemailer.createTransport({host: "127.0.0.1", port, name: "bench.sender.example", pool: true, ignoreTLS: true,
  maxConnections: connections, maxMessages: Infinity});
transport.getSocket = (options, done) => {  // As by itself, but that a message's end does not wait 40 ms for an acknowledgement.
  const socket = net.connect({host: options.host, port: options.port, noDelay: true});
  socket.once("error", done).once("connect", () => done(null, {connection: socket}));
};
let next = 0;

async function worker() {  // A message for each connection is under way, and the next one waits: no more are made ahead.
  while (next < count) {
    const number = next++;
    const name = `Reader${String(number % 1000).padStart(3, "0")}`;
    await transport.sendMail({from: `News <${sender}>`, to: `r${number}@receiver.example`, subject: fill(subject, name),
      messageId: `<bench.${number}@sender.example>`, headers: {"List-Id": listId}, text: fill(text, name, "Rome", String(number))});
  }
}

Promise.all(Array.from({length: 2 * connections}, worker)).then(() => {
  transport.close();
  const {user, system} = process.cpuUsage(before);
  console.log(JSON.stringify({wall_seconds: Number(process.hrtime.bigint() - begun) / 1e9, cpu_seconds: (user + system) / 1e6}));
}).catch((error) => { console.error(error); process.exit(1); });

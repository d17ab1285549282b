/* The page: follows the address, and shows either the login or a session. */

import { readAddress } from "./address.js";
import { ChatView } from "./chat-view.js";
import { showConnection } from "./connection-view.js";
import { byId } from "./dom.js";
import { loadPeople, LoginView } from "./login-view.js";
import { Session } from "./session.js";
import { showSidebar } from "./sidebar-view.js";
import { WirePanel } from "./wire-panel.js";

const narrow = matchMedia("(max-width: 760px)");
const login = new LoginView();
const wire = new WirePanel(byId("wire"));
const chatView = new ChatView();
let session = null;
let people = [];

function follow() {
  const { token } = readAddress();
  if (token !== (session?.token ?? null)) begin(token);
  if (session) show();
}

function begin(token) {
  session?.close();
  session = token ? new Session(token) : null;
  byId("app").hidden = !session;
  login.show(!session);
  wire.watch(session);
  if (!session) {
    document.title = "Leat chat";
    return;
  }

  const current = session;
  session.addEventListener("change", () => {
    if (session !== current) return;
    if (session.connection.state === "refused") refuse();
    else show();
  });
}

function refuse() {
  history.replaceState(null, "", location.pathname);
  begin(null);
  login.complain("That token was refused. Choose somebody, or try another one.");
}

function show() {
  const { chatId } = readAddress();
  // A wide window always has a chat beside the list; on a phone the list is a view of its own.
  const first = narrow.matches ? undefined : session.chats.values().next().value;
  const chat = session.chats.get(chatId) ?? first;
  byId("app").dataset.view = chat || chatId ? "chat" : "list";

  if (chat && !document.hidden) chat.markRead();
  showConnection(session);
  showSidebar(session, chat, people);
  chatView.show(session, chat);
  wire.showPositions();

  const unread = [...session.chats.values()].reduce((sum, { unread }) => sum + unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}${chat ? `${chat.title} · ` : ""}Leat chat`;
}

addEventListener("hashchange", follow);
narrow.addEventListener("change", () => session && show());
document.addEventListener("visibilitychange", () => session && show());

begin(readAddress().token);
people = await loadPeople();
login.offer(people);
if (session) show();

// Passkeys: a form with data-passkey asks the browser before it is sent. The answer goes into its
// field `response`; what to ask stands in data-options, or is fetched from data-begin.

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
const text = (buffer) => {
  let signs = "";
  for (const byte of new Uint8Array(buffer)) signs += String.fromCharCode(byte);
  return btoa(signs).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
};

function asked(options) {
  const known = (list) => list?.map((item) => ({ ...item, id: bytes(item.id) }));
  const found = { ...options, challenge: bytes(options.challenge) };
  if (options.user) found.user = { ...options.user, id: bytes(options.user.id) };
  if (options.allowCredentials) found.allowCredentials = known(options.allowCredentials);
  if (options.excludeCredentials) found.excludeCredentials = known(options.excludeCredentials);
  return found;
}

function answered(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  const transports = credential.response.getTransports?.();
  if (transports) response.transports = transports;
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: {},
  };
}

async function begun(form) {
  const answer = await fetch(form.dataset.begin, { method: "POST", body: new FormData(form) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  form.elements.token.value = found.token;
  return found.options;
}

const TOLD = {
  NotAllowedError: "Nothing was proven: it was cancelled, took too long, or there is no passkey for this site.",
  InvalidStateError: "This authenticator holds a passkey of yours already.",
  SecurityError: "The browser allows no passkeys at this address. Open the console by its host name.",
};

async function ask(form) {
  const note = form.querySelector("[role=alert]");
  const button = form.querySelector("button[type=submit]");
  note.hidden = true;
  button.disabled = true;
  try {
    if (!window.PublicKeyCredential) throw new Error("This browser has no passkeys. Use another factor.");
    const { publicKey } = form.dataset.begin ? await begun(form) : JSON.parse(form.dataset.options);
    const credential = await navigator.credentials[form.dataset.passkey]({ publicKey: asked(publicKey) });
    form.elements.response.value = JSON.stringify(answered(credential));
    form.submit();
  } catch (error) {
    note.textContent = TOLD[error.name] ?? error.message;
    note.hidden = false;
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-passkey]")) return;
  event.preventDefault();
  ask(event.target);
});

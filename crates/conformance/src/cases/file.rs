//! Files: what may be uploaded, uploads, downloads and deletions, as `POST .../2/chat-ntf` does them.
//!
//! A server without that API says so when it is asked for the limits; then none of these cases applies. Every refusal
//! stands between exchanges that succeed on the same chat.

use protocol::chat::files::{FileOperation, Form, Upload};
use protocol::chat::notification::{EventType, ParticipantType, Status};
use protocol::wire::{Headers, Request};
use serde_json::{Value, json};

use super::key::wrong;
use crate::peer::{AFTERGLOW, Coding, DESCRIPTION, Desk, FileAnswer, Peer, Seen, announces, upload_of, without_field};
use crate::verdict::{Stop, Verdict};

/// The largest file that a case makes up, and the most files that it uploads, to go beyond a limit.
const LARGEST: u64 = 16 << 20;
const MOST: u64 = 10;

const REFUSAL: &str = "a refusal: statusCode 2, or an HTTP status of the client's fault";

const UPLOADED: &str = "FileUploaded with the `file-id` of the answer";

/// Bytes that no reading as text survives, with a line break and what could be a delimiter.
fn bytes() -> Vec<u8> {
    (0..=u8::MAX).chain(*b"\r\n--not the end\r\n").collect()
}

/// The events about files since a place on the wire.
fn told_of_files(desk: &Desk, mark: usize) -> Vec<Seen> {
    let about = |seen: &Seen| matches!(seen.event.event_type(), Some(EventType::FileUploaded | EventType::FileDeleted));
    desk.chat.events_since(mark).into_iter().filter(about).collect()
}

/// What may be uploaded is told by a notice, in texts.
pub(super) async fn limits_told(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let data = desk.told.limits().unwrap_or_default();
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let numbers = ["upload-max-files", "upload-max-file-size", "upload-max-total-size"];
    let told = numbers.iter().all(|name| text(name).is_some_and(|text| text.parse::<u64>().is_ok()));
    let texts = data.values().all(Value::is_string);
    let names = numbers.join(", ");
    let expected = "numbers for files, size of one and size of all, and every value a text";
    let observed = format!("{names} as numbers: {told}; every value a text: {texts}");
    desk.told.should_show("CV-FL-02", told && texts, expected, observed)?;
    let envelope = desk.told.envelope.as_ref();
    let nameless = envelope.is_some_and(|told| told.secure_key.is_none() && told.chat_id.is_none());
    let indexed = envelope.is_some_and(|told| told.events().iter().any(|event| event.index.is_some()));
    let observed = format!("key or chatId told: {}, index given: {indexed}", !nameless);
    desk.told.should_show("CV-FL-03", nameless && !indexed, "no `secureKey`, no `chatId`, no `index`", observed)?;
    let pass = desk.told.must("CV-FL-01", true, "statusCode 0 with a Notice `file-client-cfg-get`")?;
    desk.sane().await?;
    Ok(pass)
}

/// Clients disagree about how the operation is spelt, and nobody says which of them is right.
pub(super) async fn limits_spelling(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let usual = desk.chat.ask_files(FileOperation::GetLimits { misspelt: false }).await?;
    let other = desk.chat.ask_files(FileOperation::GetLimits { misspelt: true }).await?;
    let known = |answer: &FileAnswer| if answer.limits().is_some() { "known" } else { "not known" };
    let says = format!("`fileGetLimits` is {}, `fileGetsLimits` is {}", known(&usual), known(&other));
    other.observe("CV-FL-04", says)
}

/// An upload is answered with the name of the file, and announced in the chat.
pub(super) async fn upload_announced(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let file = desk.file(b"Tapestry conformance".to_vec());
    let (uploaded, file_id) = desk.upload(&file).await?;
    let key = uploaded.envelope.as_ref().and_then(|answer| answer.secure_key.clone());
    uploaded.should("CV-FL-08", key.as_ref() == Some(desk.key()), "the `secureKey` of the chat")?;
    let announced = |seen: &Seen| announces(seen, EventType::FileUploaded, &file_id);
    let seen = desk.chat.event(&uploaded.sent, "CV-FL-06", UPLOADED, announced).await?;
    seen.must("CV-FL-06", seen.is_by(&ParticipantType::Client), "FileUploaded by Client")?;
    let last = desk.sane().await?;
    let count = desk.chat.events_since(uploaded.sent.mark).iter().filter(|seen| announced(seen)).count();
    let observed = format!("FileUploaded came {count} times");
    let pass = last.answer.received().must_show("CV-FL-06", count == 1, "FileUploaded once", observed)?;
    Ok(pass)
}

/// Nobody says what an event tells of its file beside the name for later requests.
pub(super) async fn event_tells(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let file = desk.file(bytes());
    let (uploaded, file_id) = desk.upload(&file).await?;
    let announced = |seen: &Seen| announces(seen, EventType::FileUploaded, &file_id);
    let seen = desk.chat.event(&uploaded.sent, "CV-FL-06", UPLOADED, announced).await?;
    let data = seen.event.user_data();
    let tells = |name: &str, value: &str| data.get(name).and_then(Value::as_str) == Some(value);
    let told = [
        ("`file-name`", tells("file-name", &file.name)),
        ("`file-size`", tells("file-size", &file.bytes.len().to_string())),
        ("what the upload said of it", tells("file-description", DESCRIPTION)),
    ];
    let told: Vec<&str> = told.iter().filter(|(_, told)| *told).map(|(name, _)| *name).collect();
    let says = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
    peer.observe("CV-FL-07", says, seen.answer.frame())
}

/// What is downloaded is what was uploaded, byte for byte.
pub(super) async fn download_same_bytes(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let file = desk.file(bytes());
    let (_, file_id) = desk.upload(&file).await?;
    let answer = desk.download(&file_id).await?;
    let same = answer.response.status == 200 && answer.response.body == file.bytes;
    let came = answer.response.body.len();
    let observed =
        format!("HTTP status {}, {came} bytes, of {} that were uploaded", answer.response.status, file.bytes.len());
    let pass = answer.must_show("CV-FL-10", same, "the bytes that were uploaded", observed)?;
    desk.sane().await?;
    Ok(pass)
}

/// A deletion is answered, and announced in the chat.
pub(super) async fn delete_announced(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let (_, file_id) = desk.upload(&desk.file(bytes())).await?;
    let deleted = desk.delete(&file_id).await?;
    deleted.must("CV-FL-11", deleted.is_success(), "statusCode 0")?;
    let expected = "FileDeleted with the `file-id` of the upload";
    let announced = |seen: &Seen| announces(seen, EventType::FileDeleted, &file_id);
    let seen = desk.chat.event(&deleted.sent, "CV-FL-12", expected, announced).await?;
    let pass = seen.must("CV-FL-12", seen.is_by(&ParticipantType::Client), "FileDeleted by Client")?;
    desk.sane().await?;
    Ok(pass)
}

/// Nobody says whether the limits tell what is used already, and whether a deletion gives it back.
pub(super) async fn use_counted(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let used = |answer: &FileAnswer| {
        let data = answer.limits().unwrap_or_default();
        data.get("used-upload-max-files").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok())
    };
    let shown = |used: Option<u64>| used.map_or_else(|| "nothing".to_owned(), |used| used.to_string());
    let (_, file_id) = desk.upload(&desk.file(bytes())).await?;
    let after = desk.chat.ask_files(FileOperation::GetLimits { misspelt: false }).await?;
    desk.delete(&file_id).await?;
    let last = desk.chat.ask_files(FileOperation::GetLimits { misspelt: false }).await?;
    let counts = [used(&desk.told), used(&after), used(&last)].map(shown);
    let says =
        format!("used files: {} at first, {} after an upload, {} after its deletion", counts[0], counts[1], counts[2]);
    last.observe("CV-FL-36", says)
}

/// Uploads a file and waits until the chat tells of it.
async fn upload_and_see(desk: &Desk, file: &Upload) -> Result<(FileAnswer, String), Stop> {
    let (uploaded, file_id) = desk.upload(file).await?;
    let announced = |seen: &Seen| announces(seen, EventType::FileUploaded, &file_id);
    desk.chat.event(&uploaded.sent, "CV-FL-06", UPLOADED, announced).await?;
    Ok((uploaded, file_id))
}

/// Whoever has not the key gets nothing, and does nothing.
async fn strangers_refused(desk: &Desk, clause: &'static str, spoilt: impl Fn(&Form) -> Form) -> Verdict {
    let file = desk.file(bytes());
    let (uploaded, file_id) = desk.upload(&file).await?;
    let stranger = desk.chat.session.peer().browser();
    let operations = [
        FileOperation::GetLimits { misspelt: false },
        FileOperation::Download { file_id: file_id.clone() },
        FileOperation::Delete { file_id: file_id.clone() },
        upload_of(&desk.file(bytes())),
    ];
    for operation in operations {
        let name = operation.name();
        let form = spoilt(&desk.chat.form(operation));
        let answer = stranger.post_form(&form, Coding::Form, true).await?;
        let observed = format!("{name}: {}", answer.describe());
        answer.must_show(clause, answer.is_refusal(), REFUSAL, observed)?;
    }
    // Whatever the refused requests did would have been told before this.
    let last = desk.sane().await?;
    let others = told_of_files(desk, uploaded.sent.mark);
    let others = others.iter().filter(|seen| !announces(seen, EventType::FileUploaded, &file_id)).count();
    let observed = format!("{others} events about other files came to the chat");
    last.answer.received().must_show(clause, others == 0, "nothing of it in the chat", observed)?;
    still_there(desk, clause, &file, &file_id).await
}

/// A file that nobody could delete is still there.
async fn still_there(desk: &Desk, clause: &'static str, file: &Upload, file_id: &str) -> Verdict {
    let answer = desk.download(file_id).await?;
    let observed = format!("the file is gone: {}", answer.describe());
    let pass = answer.must_show(clause, !answer.is_refusal(), "the file is still there", observed)?;
    answer.need("CV-FL-10", answer.response.body == file.bytes, "the bytes that were uploaded")?;
    Ok(pass)
}

/// Without a key nothing is done.
pub(super) async fn key_missing_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    strangers_refused(&desk, "CV-FL-20", |form| without_field(form, "secureKey")).await
}

/// A key that nobody was given opens nothing.
pub(super) async fn key_wrong_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let key = wrong(desk.key());
    strangers_refused(&desk, "CV-FL-21", |form| {
        let mut form = without_field(form, "secureKey");
        form.put("secureKey", key.expose());
        form
    })
    .await
}

/// The key of one chat opens no file of another, and neither chat hears of the other's files.
pub(super) async fn foreign_file_refused(peer: Peer) -> Verdict {
    let (one, two) = (peer.desk().await?, peer.desk().await?);
    let file = one.file(bytes());
    let (uploaded, file_id) = one.upload(&file).await?;
    let own = two.upload(&two.file(bytes())).await?;
    let got = two.download(&file_id).await?;
    let observed = format!("fileDownload: {}", got.describe());
    got.must_show("CV-FL-22", got.is_refusal() && got.response.body != file.bytes, REFUSAL, observed)?;
    let deleted = two.delete(&file_id).await?;
    let observed = format!("fileDelete: {}", deleted.describe());
    deleted.must_show("CV-FL-22", deleted.is_refusal(), REFUSAL, observed)?;
    let (heard_by_one, heard_by_two) = (one.sane().await?, two.sane().await?);
    let others = |desk: &Desk, mark: usize, own: &str| {
        told_of_files(desk, mark).iter().filter(|seen| !announces(seen, EventType::FileUploaded, own)).count()
    };
    for (desk, mark, own, last) in
        [(&one, uploaded.sent.mark, &file_id, heard_by_one), (&two, uploaded.sent.mark, &own.1, heard_by_two)]
    {
        let count = others(desk, mark, own);
        let observed = format!("{count} events about files of the other chat");
        last.answer.received().must_show("CV-FL-23", count == 0, "events about its own files alone", observed)?;
    }
    still_there(&one, "CV-FL-22", &file, &file_id).await
}

/// Nobody says how a request about a file that does not exist, or not any more, is refused.
pub(super) async fn unknown_id(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let file = desk.file(bytes());
    let (_, file_id) = desk.upload(&file).await?;
    let answer = desk.download(&file_id).await?;
    answer.need("CV-FL-10", answer.response.body == file.bytes, "the bytes that were uploaded")?;
    let unknown = peer.word("tapestry").replace(' ', "");
    let (got, deleted) = (desk.download(&unknown).await?, desk.delete(&unknown).await?);
    let answer = desk.delete(&file_id).await?;
    answer.need("CV-FL-11", answer.is_success(), "statusCode 0")?;
    let gone = desk.download(&file_id).await?;
    desk.sane().await?;
    gone.observe("CV-FL-13", gone.describe())?;
    deleted.observe("CV-FL-24", format!("HTTP status {}", deleted.response.status))?;
    got.observe("CV-FL-25", got.describe())
}

/// In a chat that is over nothing can be uploaded.
pub(super) async fn after_end_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    desk.upload(&desk.file(bytes())).await?;
    let ended = desk.chat.end("CV-DC-01").await?;
    let answer = desk.offer(&desk.file(bytes())).await?;
    let pass = answer.must("CV-FL-26", answer.is_refusal(), REFUSAL)?;
    peer.pause(AFTERGLOW).await;
    let alive = desk.chat.session.sane("BX-SB-03").await?;
    let late = desk.chat.events_after_end(&ended).len();
    let observed = format!("{late} events came after the end");
    alive.must_show("CV-FL-26", late == 0, "no event after chatEnded", observed)?;
    Ok(pass)
}

/// One known client does not say that it uploads.
pub(super) async fn without_operation(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let form = without_field(&desk.chat.form(upload_of(&desk.file(bytes()))), "operation");
    let answer = desk.chat.session.browser.post_form(&form, Coding::Multipart, true).await?;
    desk.sane().await?;
    let taken = if answer.is_success() && answer.file_id().is_some() { "taken" } else { "not taken" };
    answer.observe("CV-FL-27", format!("{taken}: {}", answer.describe()))
}

/// Some clients send the cookies of CometD here too, others do not.
pub(super) async fn without_cookie(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let form = desk.chat.form(FileOperation::GetLimits { misspelt: false });
    let browser = &desk.chat.session.browser;
    let bare = browser.post_form(&form, Coding::Form, false).await?;
    let multipart = browser.post_form(&form, Coding::Multipart, false).await?;
    desk.sane().await?;
    let done = |answer: &FileAnswer| if answer.is_success() { "done".to_owned() } else { answer.describe() };
    multipart.observe("CV-FL-28", format!("as a form: {}, as multipart: {}", done(&bare), done(&multipart)))
}

/// A refusal for going beyond a limit; the chat lives on, and nothing is announced.
async fn limit_kept(desk: &Desk, clause: &'static str, code: i64, file: &Upload) -> Verdict {
    let mark = desk.chat.session.peer().mark();
    let answer = desk.offer(file).await?;
    answer.must(clause, answer.is_refusal(), REFUSAL)?;
    if answer.status() == Some(Status::Failed) {
        answer.should("CV-FL-32", answer.codes().contains(&code), &format!("an error with code {code}"))?;
    }
    let last = desk.sane().await?;
    let count = told_of_files(desk, mark).len();
    let observed = format!("{count} events about files came");
    last.answer.received().must_show(clause, count == 0, "no event about the file", observed)
}

/// A file may not be larger than the limit says.
pub(super) async fn too_large_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    upload_and_see(&desk, &desk.file(bytes())).await?;
    let size = desk.limits.max_file_size.filter(|size| *size < LARGEST);
    let Some(size) = size.and_then(|size| usize::try_from(size).ok()) else {
        return Err(beyond(&desk, "a limit for the size of a file that a case can go beyond"));
    };
    limit_kept(&desk, "CV-FL-29", 202, &desk.file(vec![b'x'; size + 1])).await
}

/// A chat may not have more files than the limit says.
pub(super) async fn too_many_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let most = desk.limits.max_files.map(|most| most.saturating_sub(desk.limits.used_files.unwrap_or(0)));
    let Some(most) = most.filter(|most| *most <= MOST) else {
        return Err(beyond(&desk, "a limit for the number of files that a case can go beyond"));
    };
    for _ in 0..most {
        upload_and_see(&desk, &desk.file(b"Tapestry".to_vec())).await?;
    }
    limit_kept(&desk, "CV-FL-30", 201, &desk.file(b"Tapestry".to_vec())).await
}

/// A file may not be of a type that the limits do not name.
pub(super) async fn type_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    upload_and_see(&desk, &desk.file(bytes())).await?;
    if desk.limits.types.is_empty() {
        return Err(beyond(&desk, "a list of the types that it takes"));
    }
    limit_kept(&desk, "CV-FL-31", 203, &desk.file_ending("tapestry", bytes())).await
}

/// The server has no such limit.
fn beyond(desk: &Desk, what: &str) -> Stop {
    Stop::NotApplicable { says: format!("the server does not tell {what}"), frames: vec![desk.told.frame()] }
}

/// Nobody says what an operation that does not exist answers.
pub(super) async fn unknown_operation(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let mut form = Form::default();
    form.put("operation", "tapestryNoSuchOperation");
    form.put("secureKey", desk.key().expose());
    let answer = desk.chat.session.browser.post_form(&form, Coding::Form, true).await?;
    desk.sane().await?;
    answer.observe("CV-FL-33", answer.describe())
}

/// The API is asked by posts. Whoever gets it gets no file.
pub(super) async fn get_refused(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let file = desk.file(bytes());
    let (_, file_id) = desk.upload(&file).await?;
    let form = desk.chat.form(FileOperation::Download { file_id: file_id.clone() });
    let query = form.to_urlencoded().map(|(_, query)| String::from_utf8_lossy(&query).into_owned());
    let query = format!("?{}", query.unwrap_or_default());
    let get = Request { method: "GET".to_owned(), target: String::new(), headers: Headers::new(), body: Vec::new() };
    let got = desk.chat.session.browser.ask_files(&query, get, true).await?;
    let given = got.is_success() || got.response.body == file.bytes;
    let pass = got.must("CV-FL-34", !given, "no file, and no statusCode 0")?;
    let posted = desk.download(&file_id).await?;
    posted.need("CV-FL-10", posted.response.body == file.bytes, "the bytes that were uploaded")?;
    Ok(pass)
}

/// Nobody says what a body is answered that is no form.
pub(super) async fn no_form(peer: Peer) -> Verdict {
    let desk = peer.desk().await?;
    let body = json!({"operation": "fileGetLimits", "secureKey": desk.key().expose()}).to_string().into_bytes();
    let headers = Headers::new().with("Content-Type", "application/json");
    let post = Request { method: "POST".to_owned(), target: String::new(), headers, body };
    let answer = desk.chat.session.browser.ask_files("", post, true).await?;
    desk.sane().await?;
    answer.observe("CV-FL-35", answer.describe())
}

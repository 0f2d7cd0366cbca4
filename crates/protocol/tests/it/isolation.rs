//! Two chats at once, and whoever holds the wrong key: no byte of one chat ever reaches the other.

use std::time::Duration;

use protocol::bayeux::server::SessionId;
use protocol::chat::server::{ChatNumber, ChatServer, Deed, GmsSettings, Output, Role};
use protocol::secret::Secret;
use protocol::time::Time;
use serde_json::{Value, json};

/// How many random interleavings are tried.
const RUNS: u64 = 10_000;
/// How many things happen in each.
const STEPS: u64 = 16;

/// A small generator (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// One client: its session, its service, and everything that is its own and nobody else's.
struct Side {
    session: SessionId,
    channel: &'static str,
    chat: ChatNumber,
    key: String,
    /// Words that only this chat has ever heard, ids and key included.
    own: Vec<String>,
}

/// The chat server with two chats, one for each service, and what each session was sent.
struct World {
    server: ChatServer,
    now: Time,
    received: [String; 2],
    sides: Vec<Side>,
}

impl World {
    fn new(seed: u64, random: &mut Random) -> Self {
        let settings = GmsSettings {
            welcome: String::new(),
            answer_delay_ms: [0, 5][random.below(2) as usize],
            split_answers: random.below(2) == 0,
            outage_names_chat: random.below(2) == 0,
            wrong_key_removes: random.below(4) == 0,
            key_renewal: random.below(4) == 0,
            ..GmsSettings::default()
        };
        let services = ["support", "sales"].map(str::to_owned).into();
        let server = ChatServer::new(settings, services, 1_700_000_000_000, seed);
        let mut world = Self { server, now: Time::ZERO, received: Default::default(), sides: Vec::new() };
        for (number, channel, name) in
            [(1, "/service/chatV2/support", "Annabel"), (2, "/service/chatV2/sales", "Bertram")]
        {
            let request = json!({"operation": "requestChat", "nickname": name, "userData": {"about": name}});
            let session = SessionId(number);
            world.server.handle_publish(world.now, session, channel, Some(&request.to_string()));
            let answers = world.pass(10);
            let answer = answers.iter().find(|answer| answer["secureKey"].is_string()).expect("the chat begins");
            let text = |member: &str| answer[member].as_str().expect("a text").to_owned();
            let own = vec![name.to_owned(), text("secureKey"), text("userId"), text("chatId")];
            world.sides.push(Side { session, channel, chat: ChatNumber(number), key: text("secureKey"), own });
        }
        world
    }

    /// Lets time pass and gives what was delivered.
    fn pass(&mut self, millis: u64) -> Vec<Value> {
        self.now = self.now + Duration::from_millis(millis);
        self.server.handle_timeout(self.now);
        let mut delivered = Vec::new();
        while let Some(output) = self.server.poll_output() {
            let Output::Deliver(to, channel, data) = output else { continue };
            let position = usize::from(to == SessionId(2));
            self.received[position] += &channel;
            self.received[position] += data.0.get();
            let data: Value = serde_json::from_str(data.0.get()).expect("deliveries are JSON");
            // A new key belongs to the chat that it was issued for.
            if let (Some(side), Some(key)) = (self.sides.get_mut(position), data["secureKey"].as_str())
                && !side.own.iter().any(|own| own == key)
            {
                side.own.push(key.to_owned());
                side.key = key.to_owned();
            }
            delivered.push(data);
        }
        delivered
    }

    fn step(&mut self, random: &mut Random, number: u64) {
        let (by, other) = if random.below(2) == 0 { (0, 1) } else { (1, 0) };
        let key = match random.below(4) {
            0 => self.sides[by].key.clone(),
            1 | 2 => self.sides[other].key.clone(),
            _ => self.sides[other].key[1..].to_owned(),
        };
        let word = format!("word-{by}-{number};");
        let mut request = json!({"secureKey": key});
        let operation = match random.below(8) {
            0 => "requestNotifications",
            1 => "startTyping",
            2 => "customNotice",
            3 => "updateNickname",
            4 => "pushUrl",
            5 if random.below(4) == 0 => "disconnect",
            6 => return self.agent(by, random, &word),
            _ => "sendMessage",
        };
        for member in ["message", "nickname", "pushUrl"] {
            request[member] = word.as_str().into();
        }
        request["operation"] = operation.into();
        request["transcriptPosition"] = random.below(3).into();
        if random.below(2) == 0 {
            // The ids of the other chat beside any key are worth nothing.
            request["userId"] = self.sides[other].own[2].as_str().into();
            request["chatId"] = self.sides[other].own[3].as_str().into();
        }
        self.sides[by].own.push(word);
        let Side { session, channel, .. } = &self.sides[by];
        self.server.handle_publish(self.now, *session, channel, Some(&request.to_string()));
    }

    fn agent(&mut self, by: usize, random: &mut Random, word: &str) {
        let chat = self.sides[by].chat;
        self.sides[by].own.push(word.to_owned());
        match random.below(4) {
            0 => drop(self.server.agent_joins(self.now, chat, word, Role::Agent)),
            1 => {
                self.server.lose(self.now);
                self.server.come_back(self.now);
            }
            _ => drop(self.server.agent_does(self.now, chat, None, Deed::Say(Secret::new(word)))),
        }
    }
}

#[test]
fn no_byte_of_one_chat_appears_in_another_whatever_the_keys() {
    let mut answered = 0;
    for seed in 0..RUNS {
        let mut random = Random(seed);
        let mut world = World::new(seed, &mut random);
        for number in 0..STEPS {
            world.step(&mut random, number);
            world.pass(random.below(10));
        }
        world.pass(1_000);
        for (mine, other) in [(0, 1), (1, 0)] {
            for secret in &world.sides[other].own {
                assert!(!world.received[mine].contains(secret), "seed {seed}: a word of chat {other} in chat {mine}");
            }
            answered += usize::from(
                world.sides[mine]
                    .own
                    .iter()
                    .any(|own| own.starts_with("word-") && world.received[mine].contains(own.as_str())),
            );
        }
    }
    // Most clients got something of their own, or nothing would have been shown.
    assert!(answered > RUNS as usize, "{answered}");
}

//! The client machine against the fake GMS over the virtual network: chats by hand.

mod chat;

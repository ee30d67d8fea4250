//! What may happen: Cedar policies over facts, and the forbids that no configuration removes.

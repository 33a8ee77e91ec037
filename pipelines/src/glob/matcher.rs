//! All the ways a glob can match are followed at once, character by character, so that no glob makes a path expensive.

use super::Part;

/// Whether parts match a whole path.
pub(super) fn matches(parts: &[Part], path: &str) -> bool {
    let mut places = Places::new(parts);
    places.add(0, true);
    let mut starts_name = true;
    for character in path.chars() {
        places.step(character, starts_name);
        if places.now.is_empty() {
            return false;
        }
        starts_name = character == '/';
    }
    places.now.iter().any(|&place| place >= parts.len())
}

/// The parts that may come next. The end is one more place behind the last part.
struct Places<'p> {
    parts: &'p [Part],
    now: Vec<usize>,
    next: Vec<usize>,
    /// By place: the step that has it in its list already.
    seen: Vec<usize>,
    step: usize,
}

impl<'p> Places<'p> {
    fn new(parts: &'p [Part]) -> Self {
        Self {
            parts,
            now: Vec::new(),
            next: Vec::new(),
            seen: vec![0; parts.len() + 1],
            step: 1,
        }
    }

    /// A place to go on from, and those that can be reached from it without a character.
    fn add(&mut self, mut place: usize, first: bool) {
        while self.seen[place] != self.step {
            self.seen[place] = self.step;
            if first { &mut self.now } else { &mut self.next }.push(place);
            match self.parts.get(place) {
                Some(Part::Name | Part::Directories) => place += 1,
                // `**` alone matches the empty text as well; behind a `/` something has to follow.
                Some(Part::Below) if place == 0 => place += 1,
                _ => return,
            }
        }
    }

    fn step(&mut self, character: char, starts_name: bool) {
        self.step += 1;
        self.next.clear();
        for index in 0..self.now.len() {
            let place = self.now[index];
            let Some(part) = self.parts.get(place) else {
                continue;
            };
            match part {
                Part::Name if character != '/' => self.add(place, false),
                Part::Below => {
                    self.add(place, false);
                    self.add(place + 1, false);
                }
                Part::Directories => self.directories(place, character, starts_name),
                part if part.takes(character) => self.add(place + 1, false),
                _ => {}
            }
        }
        std::mem::swap(&mut self.now, &mut self.next);
    }

    /// Inside a skipped directory the place stays, but what follows it can only start behind a `/`.
    fn directories(&mut self, place: usize, character: char, starts_name: bool) {
        if character == '/' {
            // An empty name is no directory.
            if !starts_name {
                self.add(place, false);
            }
        } else if self.seen[place] != self.step {
            self.seen[place] = self.step;
            self.next.push(place);
        }
    }
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Character(wanted) => *wanted == character,
            Self::Any => character != '/',
            Self::Class { negated, ranges } => {
                let within = |(first, last): &(char, char)| (*first..=*last).contains(&character);
                character != '/' && ranges.iter().any(within) != *negated
            }
            Self::Name | Self::Directories | Self::Below => false,
        }
    }
}

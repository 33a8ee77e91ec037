//! Jobs whose output is known: numbers that the shell computes in a step, and this program computes again. Among them is a secret,
//! which the shell puts together, hides and then prints.

use std::fmt::Write as _;

use crate::leaving::Leaving;

/// Lines of a job are between these.
const LINES: (usize, usize) = (60, 600);
/// After so many a step rests, so that something can happen meanwhile.
const BURST: u64 = 20;

/// What one job prints, and what it leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    pub(crate) seed: u64,
    pub(crate) lines: usize,
    pub(crate) leaving: Option<Leaving>,
    /// It ends without success.
    pub(crate) fails: bool,
}

impl Noise {
    pub(crate) fn draw(draw: &mut crate::draw::Draw) -> Self {
        Self {
            seed: draw.next() % MODULUS,
            lines: LINES.0 + draw.below(LINES.1 - LINES.0),
            leaving: Leaving::draw(draw),
            fails: draw.below(6) == 0,
        }
    }

    /// What every secret has in it, and no script.
    pub(crate) const SECRET: &str = "hush-hush-";

    /// A step's script. What it prints last has no line end, and what it prints before it is not text.
    pub(crate) fn script(&self) -> String {
        let Self { seed, lines, .. } = self;
        let leave = self
            .leaving
            .map_or_else(|| ":".to_owned(), |leaving| leaving.script());
        let code = u8::from(self.fails);
        // A disk that is full has no room for a secret either.
        format!(
            "s=hush-; s=$s$s{seed}; until echo $s 2>/dev/null >> $SLIPWAY_MASK; do sleep 0.1; done; echo my $s; \
             i=0; x={seed}; while [ $i -lt {lines} ]; do \
             x=$(((x * {FACTOR} + {SUMMAND}) % {MODULUS})); i=$((i + 1)); echo \"$i $x\"; \
             [ $((i % {BURST})) != 0 ] || sleep 0.05; done; {leave}; printf '\\377\\000the end of {seed}'; exit {code}"
        )
    }

    /// Its whole log.
    pub(crate) fn log(&self) -> Vec<u8> {
        let mut text = "my ***\n".to_owned();
        let mut x = self.seed;
        for line in 1..=self.lines {
            x = (x * FACTOR + SUMMAND) % MODULUS;
            let _ = writeln!(text, "{line} {x}");
        }
        let mut bytes = text.into_bytes();
        bytes.extend(b"\xff\x00");
        bytes.extend(format!("the end of {}", self.seed).bytes());
        bytes
    }
}

/// Of a linear congruential generator: what a shell can compute.
pub(crate) const FACTOR: u64 = 1_103_515_245;
pub(crate) const SUMMAND: u64 = 12_345;
pub(crate) const MODULUS: u64 = 1 << 31;

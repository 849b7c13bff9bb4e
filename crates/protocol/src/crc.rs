//! CRC-16/XMODEM, which guards recovery frames and XMODEM blocks (`chip-to-pc-and-recovery.md` 5.2, 5.4).

const POLYNOMIAL: u16 = 0x1021;

/// Bytes that are taken at once: one after the other would wait for each other, and checksums are most of what a
/// recovery costs.
const STRIDE: usize = 8;

/// What a byte does to the checksum, when so many more bytes of zero follow it.
const TABLES: [[u16; 256]; STRIDE] = {
    let mut tables = [[0; 256]; STRIDE];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = value & 0x8000 != 0;
            value <<= 1;
            if carry {
                value ^= POLYNOMIAL;
            }
            bit += 1;
        }
        tables[0][index] = value;
        index += 1;
    }
    let mut behind = 1;
    while behind < STRIDE {
        let mut index = 0;
        while index < 256 {
            let before = tables[behind - 1][index];
            tables[behind][index] = (before << 8) ^ tables[0][(before >> 8) as usize];
            index += 1;
        }
        behind += 1;
    }
    tables
};

/// The checksum of these bytes: polynomial 0x1021, beginning with 0, nothing reflected.
pub fn crc16(bytes: &[u8]) -> u16 {
    let (strides, rest) = bytes.as_chunks::<STRIDE>();
    let mut crc = 0_u16;
    for [a, b, c, d, e, f, g, h] in strides {
        let [high, low] = crc.to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
        let of = |table: &[u16; 256], byte: u8| table[usize::from(byte)];
        crc = of(t7, high ^ a)
            ^ of(t6, low ^ b)
            ^ of(t5, *c)
            ^ of(t4, *d)
            ^ of(t3, *e)
            ^ of(t2, *f)
            ^ of(t1, *g)
            ^ of(t0, *h);
    }
    rest.iter().fold(crc, |crc, byte| {
        (crc << 8) ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_its_definition() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn bytes_at_once_and_one_by_one_give_the_same() {
        let bit_by_bit = |bytes: &[u8]| {
            bytes.iter().fold(0_u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
                    (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { POLYNOMIAL }
                })
            })
        };
        let bytes: Vec<u8> = (0..300_u32).map(|at| (at * at / 7 + at) as u8).collect();
        for length in 0..bytes.len() {
            assert_eq!(crc16(&bytes[..length]), bit_by_bit(&bytes[..length]), "{length}");
        }
    }
}

import Testing
import Wire

@testable import Conntrack

/// SipHash-2-4 as its authors describe it, a byte at a time, to hold against the model's.
private struct PlainSipHash {
    private var state: [UInt64]
    private var word: UInt64 = 0
    private var count = 0

    init(_ key0: UInt64, _ key1: UInt64) {
        state = [
            key0 ^ 0x736f_6d65_7073_6575, key1 ^ 0x646f_7261_6e64_6f6d,
            key0 ^ 0x6c79_6765_6e65_7261, key1 ^ 0x7465_6462_7974_6573,
        ]
    }

    private mutating func rounds(_ times: Int) {
        for _ in 0..<times {
            for (target, source, turn) in [(0, 1, 13), (2, 3, 16)] {
                state[target] &+= state[source]
                state[source] = Self.rotated(state[source], turn) ^ state[target]
            }
            state[0] = Self.rotated(state[0], 32)
            for (target, source, turn) in [(2, 1, 17), (0, 3, 21)] {
                state[target] &+= state[source]
                state[source] = Self.rotated(state[source], turn) ^ state[target]
            }
            state[2] = Self.rotated(state[2], 32)
        }
    }

    private static func rotated(_ value: UInt64, _ turn: Int) -> UInt64 {
        value << turn | value >> (64 - turn)
    }

    private mutating func absorb() {
        state[3] ^= word
        rounds(2)
        state[0] ^= word
        word = 0
    }

    mutating func add(_ byte: UInt8) {
        word |= UInt64(byte) << (8 * (count % 8))
        count += 1
        if count % 8 == 0 { absorb() }
    }

    static func hash(_ bytes: [UInt8], _ key0: UInt64, _ key1: UInt64) -> UInt64 {
        var hash = PlainSipHash(key0, key1)
        for byte in bytes { hash.add(byte) }
        hash.word |= UInt64(bytes.count & 0xff) << 56
        hash.absorb()
        hash.state[2] ^= 0xff
        hash.rounds(4)
        return hash.state.reduce(0, ^)
    }
}

/// table.md §4: the hash and the bucket.
@Suite struct TableHashTests {
    private static let key0: UInt64 = 0x0706_0504_0302_0100
    private static let key1: UInt64 = 0x0f0e_0d0c_0b0a_0908

    /// The published results for the messages 00, 00 01, … under the key 00 01 … 0f.
    private static let vectors: [UInt64] = [
        0x726f_db47_dd0e_0e31, 0x74f8_39c5_93dc_67fd, 0x0d6c_8009_d9a9_4f5a, 0x8567_6696_d7fb_7e2d,
        0xcf27_94e0_2771_87b7, 0x1876_5564_cd99_a68d, 0xcbc9_466e_58fe_e3ce, 0xab02_00f5_8b01_d137,
        0x93f5_f579_9a93_2462, 0x9e00_82df_0ba9_e4b0, 0x7a5d_bbc5_94dd_b9f3, 0xf4b3_2f46_226b_ada7,
        0x751e_8fbc_860e_e5fb, 0x14ea_5627_c084_3d90, 0xf723_ca90_8e7a_f2ee, 0xa129_ca61_49be_45e5,
        0x3f2a_cc7f_57c2_9bdb, 0x699a_e9f5_2cbe_4794, 0x4bc1_b3f0_968d_d39c, 0xbb6d_c91d_a779_61bd,
        0xbed6_5cf2_1aa2_ee98, 0xd0f2_cbb0_2e3b_67c7, 0x9353_6795_e3a3_3e88, 0xa80c_038c_cd5c_cec8,
        0xb8ad_50c6_f649_af94, 0xbce1_92de_8a85_b8ea, 0x17d8_35b8_5bbb_15f3, 0x2f2e_6163_076b_cfad,
        0xde4d_aaac_a71d_c9a5, 0xa6a2_5066_8795_6571, 0xad87_a353_5c49_ef28, 0x32d8_92fa_d841_c342,
        0x7127_512f_72f2_7cce, 0xa7f3_2346_f959_78e3, 0x12e0_b01a_bb05_1238, 0x15e0_34d4_0fa1_97ae,
        0x314d_ffbe_0815_a3b4, 0x0279_90f0_2962_3981, 0xcadc_d4e5_9ef4_0c4d, 0x9abf_d876_6a33_735c,
        0x0e3e_a96b_5304_a7d0, 0xad0c_42d6_fc58_5992, 0x1873_06c8_9bc2_15a9, 0xd4a6_0abc_f379_2b95,
        0xf935_451d_e4f2_1df2, 0xa953_8f04_1975_5787, 0xdb9a_cddf_f56c_a510, 0xd06c_98cd_5c09_75eb,
        0xe612_a3cb_9ecb_a951, 0xc766_e62c_fcad_af96, 0xee64_435a_9752_fe72, 0xa192_d576_b245_165a,
        0x0a87_87bf_8ecb_74b2, 0x81b3_e73d_20b4_9b6f, 0x7fa8_220b_a3b2_ecea, 0x2457_31c1_3ca4_2499,
        0xb78d_bfaf_3a8d_83bd, 0xea1a_d565_322a_1a0b, 0x60e6_1c23_a379_5013, 0x6606_d7e4_4628_2b93,
        0x6ca4_ecb1_5c5f_91e1, 0x9f62_6da1_5c96_25f3, 0xe51b_3860_8ef2_5f57, 0x958a_324c_eb06_4572,
    ]

    @Test("the plain SipHash-2-4 gives the 64 published results")
    func plainVectors() {
        for (length, expected) in Self.vectors.enumerated() {
            let message = (0..<length).map { UInt8($0) }
            #expect(PlainSipHash.hash(message, Self.key0, Self.key1) == expected)
        }
    }

    @Test("the model's SipHash gives the published result for a message of four words")
    func fourWords() {
        let hash = SipHash(key0: Self.key0, key1: Self.key1).of(
            0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908, 0x1716_1514_1312_1110,
            0x1f1e_1d1c_1b1a_1918)
        #expect(hash == Self.vectors[32])
    }

    /// The tuple's first 39 bytes as the kernel lays them out: table.md §2.
    private static func layout(_ tuple: Tuple) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 39)
        func store(_ address: Address, at offset: Int) {
            let words = address.words
            let all = [words.0, words.1, words.2, words.3]
            let shown = tuple.family == .ipv4 ? [words.3] : all
            for (index, word) in shown.enumerated() {
                for byte in 0..<4 {
                    bytes[offset + index * 4 + byte] = UInt8(
                        truncatingIfNeeded: word >> (24 - 8 * byte))
                }
            }
        }
        store(tuple.source, at: 0)
        bytes[16] = UInt8(tuple.sourcePart >> 8)
        bytes[17] = UInt8(tuple.sourcePart & 0xff)
        bytes[18] = tuple.family.rawValue  // Host order, on a little-endian machine.
        store(tuple.destination, at: 20)
        bytes[36] = UInt8(tuple.destinationPart >> 8)
        bytes[37] = UInt8(tuple.destinationPart & 0xff)
        bytes[38] = tuple.protocolNumber
        return bytes
    }

    static func randomTuple(_ dice: inout Dice) -> Tuple {
        let isIPv6 = dice.chance(of: 1, in: 2)
        func address(_ dice: inout Dice) -> Address {
            isIPv6
                ? Address(high: dice.next(), low: dice.next())
                : Address(ipv4: UInt32(truncatingIfNeeded: dice.next()))
        }
        return Tuple(
            isIPv6 ? .ipv6 : .ipv4, UInt8(truncatingIfNeeded: dice.next()),
            source: address(&dice), dice.nextUInt16(), destination: address(&dice),
            dice.nextUInt16())
    }

    @Test("a tuple hashes as its 39 bytes do, zone and namespace mixed into the key")
    func hashesTheLayout() {
        var dice = Dice(seed: 39)
        for _ in 0..<2000 {
            let tuple = Self.randomTuple(&dice)
            let key0 = dice.next()
            let key1 = dice.next()
            let zone = dice.chance(of: 1, in: 2) ? 0 : dice.nextUInt16()
            let mix = dice.next()
            let expected = PlainSipHash.hash(
                Self.layout(tuple), key0 ^ UInt64(zone), key1 ^ mix)
            #expect(
                SipHash(key0: key0, key1: key1).raw(tuple, zone: zone, namespaceMix: mix)
                    == UInt32(truncatingIfNeeded: expected), "\(tuple)")
        }
    }

    @Test("the direction is no part of the hash; every other field is")
    func everyFieldCounts() {
        let hash = SipHash(key0: Self.key0, key1: Self.key1)
        let tuple = Tuple.flow(1)
        var others = [Tuple](repeating: tuple, count: 6)
        others[0].source = Address(ipv4: tuple.source.ipv4 ^ 1)
        others[1].destination = Address(ipv4: tuple.destination.ipv4 ^ 1)
        others[2].sourcePart ^= 1
        others[3].destinationPart ^= 1
        others[4].protocolNumber ^= 1
        others[5].family = .ipv6
        let all = ([tuple] + others).map { hash.raw($0, zone: 0, namespaceMix: 0) }
        #expect(Set(all).count == 7)
        #expect(hash.raw(tuple, zone: 1, namespaceMix: 0) != all[0])
        #expect(hash.raw(tuple, zone: 0, namespaceMix: 1) != all[0])
    }

    @Test(
        "the bucket is the hash scaled to the table, whatever its size",
        arguments: [
            UInt32(1), 2, 3, 512, 1000, 100_352, 262_144, 1 << 28,
        ])
    func scales(count: UInt32) {
        let buckets = Buckets(repeating: UInt8(0), count: count)
        var dice = Dice(seed: UInt64(count))
        for hash in [0, 1, UInt32.max] + (0..<500).map({ _ in UInt32(dice.next() >> 32) }) {
            let exact = UInt128(hash) * UInt128(count) / (UInt128(1) << 32)
            #expect(buckets.bucket(of: hash) == UInt32(exact))
        }
    }

    @Test("links spread over the buckets as evenly as chance has it")
    func spreads() {
        var machine = Machine(buckets: 1024)
        var chains = [Int](repeating: 0, count: 1024)
        let flows = 20_000
        for _ in 0..<flows {
            let tuple = machine.freshTuple()
            chains[Int(machine.bucket(tuple))] += 1
            chains[Int(machine.bucket(tuple.inverted ?? tuple))] += 1
        }
        let mean = Double(2 * flows) / 1024
        let chiSquare = chains.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / mean
        // 1023 degrees of freedom: mean 1023, standard deviation 45.2.
        #expect(abs(chiSquare - 1023) < 4 * 45.2)
    }

    @Test("another seed, another key; the same seed, the same buckets")
    func seeds() {
        var first = Machine(seed: 1)
        let again = Machine(seed: 1)
        let other = Machine(seed: 2)
        var differing = 0
        for _ in 0..<100 {
            let tuple = first.freshTuple()
            #expect(first.bucket(tuple) == again.bucket(tuple))
            if first.bucket(tuple) != other.bucket(tuple) { differing += 1 }
        }
        #expect(differing > 90)
    }

    @Test("tuples hashed together have the hashes they have alone", arguments: [true, false])
    func lanes(isWide: Bool) {
        var dice = Dice(seed: 3)
        var lanes = HashLanes(isWide: isWide)
        for round in 0..<50 {
            let key = SipHash(key0: dice.next(), key1: dice.next())
            lanes.clear()
            let tuples = (0...round % HashLanes.capacity).map { lane in
                Tuple(
                    lane % 3 == 0 ? .ipv6 : .ipv4, UInt8(truncatingIfNeeded: dice.next()),
                    source: Address(high: dice.next(), low: dice.next()), dice.nextUInt16(),
                    destination: Address(high: dice.next(), low: dice.next()), dice.nextUInt16())
            }
            for tuple in tuples { lanes.add(SipHash.words(of: tuple)) }
            lanes.hash(key.keyed(zone: 7, namespaceMix: 99))
            for (lane, tuple) in tuples.enumerated() {
                #expect(lanes[lane] == key.raw(tuple, zone: 7, namespaceMix: 99))
            }
        }
    }
}

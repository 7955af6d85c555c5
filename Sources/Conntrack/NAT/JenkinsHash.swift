/// Bob Jenkins's lookup3 (public domain, 2006) over whole 32-bit words.
enum JenkinsHash {
    /// The hash of four words: what the choice of an address from a range uses.
    static func words4(
        _ w0: UInt32, _ w1: UInt32, _ w2: UInt32, _ w3: UInt32, initial: UInt32
    ) -> UInt32 {
        let start = 0xdead_beef &+ (4 << 2) &+ initial
        var a = start &+ w0
        var b = start &+ w1
        var c = start &+ w2
        mix(&a, &b, &c)
        a = a &+ w3
        finish(&a, &b, &c)
        return c
    }

    private static func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 {
        value &<< count | value &>> (32 &- count)
    }

    private static func mix(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32) {
        a = (a &- c) ^ rotate(c, 4)
        c = c &+ b
        b = (b &- a) ^ rotate(a, 6)
        a = a &+ c
        c = (c &- b) ^ rotate(b, 8)
        b = b &+ a
        a = (a &- c) ^ rotate(c, 16)
        c = c &+ b
        b = (b &- a) ^ rotate(a, 19)
        a = a &+ c
        c = (c &- b) ^ rotate(b, 4)
        b = b &+ a
    }

    private static func finish(_ a: inout UInt32, _ b: inout UInt32, _ c: inout UInt32) {
        c = (c ^ b) &- rotate(b, 14)
        a = (a ^ c) &- rotate(c, 11)
        b = (b ^ a) &- rotate(a, 25)
        c = (c ^ b) &- rotate(b, 16)
        a = (a ^ c) &- rotate(c, 4)
        b = (b ^ a) &- rotate(a, 14)
        c = (c ^ b) &- rotate(b, 24)
    }
}

//! The pages of a damaged file: those in the file and those in its log, one at a time.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::file::{self, PAGE_SIZE};
use crate::store::salvage::log;

const PAGE: usize = PAGE_SIZE as usize;

/// The first pages hold the roots of the tables.
const ROOTS: u32 = 8;
/// Pages of which one page of the pointer map tells, <https://www.sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages>.
const MAP_ENTRIES: u32 = PAGE_SIZE / 5;
/// The page that SQLite never uses.
const LOCK_PAGE: u32 = (1 << 30) / PAGE_SIZE + 1;

/// Where the bytes of a page are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(u64),
    Log(u64),
}

/// Which of several images of a page is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// The newest whose checksum holds.
    Trusted,
    /// The newest.
    Newest,
}

/// The pages of a file and its log.
#[derive(Debug)]
pub(super) struct Pages {
    file: File,
    log: Option<File>,
    count: u32,
    /// Per page the images in the log, newest first, down to the first that can be trusted.
    images: HashMap<u32, Vec<(Place, bool)>>,
    log_bytes: u64,
}

impl Pages {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let log_path = file::companion(path, "-wal");
        let read = log::read(&log_path)?;
        let log = if read.images.is_empty() { None } else { Some(File::open(&log_path)?) };
        let mut images: HashMap<u32, Vec<(Place, bool)>> = HashMap::new();
        for image in read.images.iter().rev() {
            let known = images.entry(image.page).or_default();
            if !known.last().is_some_and(|&(_, trusted)| trusted) {
                known.push((Place::Log(image.at), image.trusted));
            }
        }
        // A last page that is cut off counts: what is missing reads as zeros.
        let count = u32::try_from(file.metadata()?.len().div_ceil(u64::from(PAGE_SIZE))).unwrap_or(u32::MAX);
        let log_bytes = read.images.len() as u64 * u64::from(PAGE_SIZE);
        Ok(Pages { file, log, count, images, log_bytes })
    }

    /// Every image in which a record may begin that is not long deleted: newest first, so that a row that was changed is
    /// found as it was last.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut logged: Vec<Place> = self.images.values().flatten().map(|&(place, _)| place).collect();
        logged.sort_unstable_by_key(|place| match place {
            Place::File(at) | Place::Log(at) => std::cmp::Reverse(*at),
        });
        let covered =
            |page: u32| self.images.get(&page).is_some_and(|known| known.last().is_some_and(|&(_, trusted)| trusted));
        let filed = (1..=self.count).filter(|&page| !covered(page) && !self.is_free(page)).map(in_file);
        logged.into_iter().chain(filed).collect()
    }

    /// Whether SQLite had done with this page: what is in it was deleted. The pointer map says so in five bytes of which only
    /// those of a root page differ in a single one from what they are in use; roots are in front.
    fn is_free(&self, page: u32) -> bool {
        if page <= ROOTS {
            return false;
        }
        let mut map = 2 + (page - 2) / (MAP_ENTRIES + 1) * (MAP_ENTRIES + 1);
        if map == LOCK_PAGE {
            map += 1;
        }
        let mut entry = [0; 5];
        let at = 5 * u64::from(page.saturating_sub(map + 1));
        let read = match self.find(map, Belief::Trusted) {
            Some(Place::File(start)) => self.file.read_exact_at(&mut entry, start + at),
            Some(Place::Log(start)) => {
                self.log.as_ref().map_or(Ok(()), |log| log.read_exact_at(&mut entry, start + at))
            }
            None => Ok(()),
        };
        read.is_ok() && entry == [2, 0, 0, 0, 0]
    }

    /// Where page `page` is; `None`: there is no such page.
    pub(super) fn find(&self, page: u32, belief: Belief) -> Option<Place> {
        if page == 0 {
            return None;
        }
        let logged = self.images.get(&page).and_then(|known| {
            let mut known = known.iter().filter(|(_, trusted)| belief == Belief::Newest || *trusted);
            known.next().map(|&(place, _)| place)
        });
        logged.or_else(|| (page <= self.count).then(|| in_file(page)))
    }

    /// No record is longer than that.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.count) * u64::from(PAGE_SIZE) + self.log_bytes
    }

    /// Fills `page`. What cannot be read is zero: it costs the records that are there, and no others.
    pub(super) fn read(&self, place: Place, page: &mut [u8; PAGE]) {
        page.fill(0);
        let (file, at) = match (place, &self.log) {
            (Place::File(at), _) => (&self.file, at),
            (Place::Log(at), Some(log)) => (log, at),
            (Place::Log(_), None) => return,
        };
        if file.read_exact_at(page, at).is_err() {
            // A sector that cannot be read, or the end of the file: by sectors, so that the others are found.
            for (number, sector) in page.chunks_mut(512).enumerate() {
                if file.read_exact_at(sector, at + 512 * number as u64).is_err() {
                    sector.fill(0);
                }
            }
        }
    }
}

fn in_file(page: u32) -> Place {
    Place::File((u64::from(page) - 1) * u64::from(PAGE_SIZE))
}

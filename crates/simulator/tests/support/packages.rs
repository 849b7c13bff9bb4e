//! Small applications, packed by the product's own packer.

use lineside_image::{
    ApplicationSource, BoardConfigSource, Signer, TemporaryFlags, pack_application, pack_board_config,
};
use lineside_terms::{ComponentId, ImageId};

/// The component of [`Application::new`].
pub const COMPONENT: ComponentId = ComponentId::from_u128(0x11111111_2222_3333_4444_555555555555);

/// An application to be packed.
pub struct Application {
    name: String,
    component: ComponentId,
    image: u128,
    capabilities: String,
    program: String,
    is_temporary: bool,
    runtime: u32,
    padding: usize,
}

impl Application {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            component: COMPONENT,
            image: 1,
            capabilities: String::new(),
            program: String::new(),
            is_temporary: false,
            runtime: 12,
            padding: 0,
        }
    }

    pub fn component(mut self, component: u128) -> Self {
        self.component = ComponentId::from_u128(component);
        self
    }

    pub fn image(mut self, image: u128) -> Self {
        self.image = image;
        self
    }

    /// The inside of `Capabilities`.
    pub fn capabilities(mut self, json: &str) -> Self {
        self.capabilities = json.to_owned();
        self
    }

    /// The lines of a simulated application; without any it is a real program.
    pub fn program(mut self, lines: &str) -> Self {
        self.program = format!("#!lineside-simulated-application 1\n{lines}\n");
        self
    }

    pub fn temporary(mut self, is_temporary: bool) -> Self {
        self.is_temporary = is_temporary;
        self.image += u128::from(is_temporary) << 64;
        self
    }

    pub fn runtime(mut self, version: u32) -> Self {
        self.runtime = version;
        self
    }

    pub fn padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    pub fn pack(&self, signer: &Signer) -> Vec<u8> {
        let manifest = format!(
            "{{\"SchemaVersion\":1,\"Name\":\"{}\",\"ComponentId\":\"{}\",\"EntryPoint\":\"/bin/app\",\"CmdArgs\":[],\
             \"Capabilities\":{{{}}},\"ApplicationType\":\"Default\"}}",
            self.name, self.component, self.capabilities
        );
        let program = if self.program.is_empty() {
            "\u{7f}ELF and so on"
        } else {
            &self.program
        };
        let files = [
            ("/bin/app".to_owned(), program.as_bytes().to_vec()),
            ("/resource".to_owned(), vec![0xC0; self.padding]),
        ];
        let source = ApplicationSource {
            manifest: manifest.as_bytes(),
            files: &files,
            executables: &[],
            image: ImageId::from_u128(self.image),
            built: 1_700_000_000,
            runtime_version: self.runtime,
            temporary: self.is_temporary.then_some(TemporaryFlags::REMOVE_AT_BOOT),
        };
        pack_application(&source, signer).unwrap()
    }
}

/// A board configuration.
pub fn board_config(signer: &Signer) -> Vec<u8> {
    let source = BoardConfigSource {
        name: "board",
        body: &[7; 500],
        component: ComponentId::from_u128(0xBBBB),
        image: ImageId::from_u128(0xBBBB_0001),
        built: 1_700_000_000,
        temporary: None,
    };
    pack_board_config(&source, signer).unwrap()
}
